//! Who is measured, and what calls they get.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::database::AddressDatabase;
use super::files::AddressFiles;
use super::held::{self, NETWORK, SUBNET};
use crate::bench::call::{Call, Timed};
use crate::bench::memory;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contender {
    /// A program that does nothing.
    Empty,
    /// Ours, with addresses as files.
    Disk,
    /// Ours, with addresses in a database.
    Db,
    /// The Go plugin.
    Reference,
}

impl Contender {
    /// All, in the order of the tables' columns.
    pub(super) const ALL: [Self; 4] = [Self::Empty, Self::Disk, Self::Db, Self::Reference];
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Empty => "empty program",
            Self::Disk => "Twill, disk",
            Self::Db => "Twill, db",
            Self::Reference => "Go host-local",
        })
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Add,
    /// DEL of the attachment that the last ADD was for.
    Del,
    /// DEL of an attachment that holds nothing.
    DelOfNothing,
    /// The first ADD after another program has changed the addresses.
    AddAfterChange,
}

impl Operation {
    fn command(self) -> &'static str {
        match self {
            Self::Add | Self::AddAfterChange => "ADD",
            Self::Del | Self::DelOfNothing => "DEL",
        }
    }
}

/// A contender with its program and its own addresses in use.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) contender: Contender,
    program: PathBuf,
    conf: Value,
    in_use: InUse,
}

/// Where a contender's addresses in use are.
#[derive(Debug)]
enum InUse {
    Nowhere,
    Files(AddressFiles),
    Database(AddressDatabase),
}

impl Entry {
    /// A contender with no addresses in use, and a `dataDir` of its own.
    pub(super) fn new(contender: Contender, program: &Path, data_dir: PathBuf) -> Result<Self> {
        let mut ipam = json!({
            "type": "host-local",
            "dataDir": data_dir,
            "ranges": [[{ "subnet": SUBNET }]],
        });
        if let (Contender::Db, Some(ipam)) = (contender, ipam.as_object_mut()) {
            ipam.insert("backend".to_owned(), json!("db"));
        }
        let in_use = match contender {
            Contender::Empty => InUse::Nowhere,
            Contender::Disk | Contender::Reference => {
                InUse::Files(AddressFiles::new(&data_dir.join(NETWORK))?)
            }
            Contender::Db => InUse::Database(AddressDatabase::new(&data_dir)),
        };
        Ok(Self {
            contender,
            program: program.to_owned(),
            conf: json!({ "cniVersion": "1.0.0", "name": NETWORK, "type": "bridge", "ipam": ipam }),
            in_use,
        })
    }

    /// Puts more addresses into use, by other attachments than those that calls are for.
    pub(super) fn grow_to(&mut self, size: u32) -> Result<()> {
        match &mut self.in_use {
            InUse::Nowhere => Ok(()),
            InUse::Files(files) => files.grow_to(size),
            InUse::Database(database) => database.grow_to(size),
        }
    }

    /// Changes the addresses as another program would. `false` if that makes no difference to the next call.
    pub(super) fn change_from_outside(&self) -> Result<bool> {
        match (self.contender, &self.in_use) {
            (Contender::Disk, InUse::Files(files)) => files.come_and_go().map(|()| true),
            _ => Ok(false),
        }
    }

    /// An error unless as many addresses are in use as there should be.
    pub(super) fn check(&self) -> Result<()> {
        match &self.in_use {
            InUse::Nowhere => Ok(()),
            InUse::Files(files) => files.check(),
            InUse::Database(database) => database.check(),
        }
    }

    /// The call for the attachment of a round.
    pub(super) fn call(&self, operation: Operation, round: usize) -> Call {
        let container = match operation {
            Operation::DelOfNothing => held::stranger(round),
            _ => held::caller(round),
        };
        Call::plugin(&self.program, operation.command(), &container, &self.conf)
    }

    /// Makes the call; an error unless the answer makes sense.
    pub(super) fn run(&self, operation: Operation, round: usize) -> Result<Timed> {
        let timed = self.call(operation, round).run()?;
        let is_right = match (self.contender, operation) {
            (Contender::Empty, _) | (_, Operation::Del | Operation::DelOfNothing) => {
                timed.stdout.is_empty()
            }
            (_, Operation::Add | Operation::AddAfterChange) => address_of(&timed.stdout).is_some(),
        };
        let text = String::from_utf8_lossy(&timed.stdout);
        ensure!(
            is_right,
            "{}: {}: unexpected answer: {text}",
            self.contender,
            operation.command()
        );
        Ok(timed)
    }

    /// The peak memory of a first ADD, in KiB.
    pub(super) fn peak_of_add(&self) -> Result<u64> {
        memory::peak(&self.call(Operation::Add, 0))
    }
}

/// The address in an ADD's result.
fn address_of(result: &[u8]) -> Option<IpAddr> {
    let result: Value = serde_json::from_slice(result).ok()?;
    let address = result.pointer("/ips/0/address")?.as_str()?;
    address.split('/').next()?.parse().ok()
}

/// Where the Go plugin is.
pub(super) fn reference() -> Result<PathBuf> {
    testkit::requirements::reference_plugin("host-local")
        .context("Debian package containernetworking-plugins has no host-local")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_an_address_is_none() {
        let result = br#"{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/8"}]}"#;
        assert_eq!(address_of(result), Some([10, 0, 0, 2].into()));
        assert_eq!(address_of(b"{}"), None);
        assert_eq!(address_of(b""), None);
    }

    #[test]
    fn calls_of_a_round_are_for_the_same_attachment() {
        let state = tempfile::tempdir().unwrap();
        let entry = Entry::new(
            Contender::Disk,
            Path::new("/bin/true"),
            state.path().to_owned(),
        )
        .unwrap();
        let container = |operation, round| {
            let call = entry.call(operation, round);
            let container = call.environment.into_iter().nth(1);
            container.unwrap().1
        };
        assert_eq!(container(Operation::Add, 3), container(Operation::Del, 3));
        let others = [
            container(Operation::Add, 4),
            container(Operation::DelOfNothing, 3),
        ];
        assert!(!others.contains(&container(Operation::Add, 3)));
    }
}
