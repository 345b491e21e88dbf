//! Who is measured, and what calls they get.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::database::AddressDatabase;
use super::files::AddressFiles;
use super::held::{NETWORK, SUBNET};
use crate::call::{Answer, Call};
use crate::container;
use crate::contest::Entrant;

/// Who is measured, in the order of the tables' columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contender {
    /// A program that does nothing, on glibc.
    Empty,
    /// One that is built as the plugins are, on musl.
    Bare,
    /// Ours, with addresses as files.
    Disk,
    /// Ours, with addresses in a database.
    Db,
    /// The Go plugin.
    Reference,
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Empty => "empty program",
            Self::Bare => "empty on musl",
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
    contender: Contender,
    program: PathBuf,
    conf: Value,
    /// How many addresses there are to be in use.
    pub(super) size: u32,
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
            Contender::Empty | Contender::Bare => InUse::Nowhere,
            Contender::Disk | Contender::Reference => {
                InUse::Files(AddressFiles::new(&data_dir.join(NETWORK))?)
            }
            Contender::Db => InUse::Database(AddressDatabase::new(&data_dir)),
        };
        Ok(Self {
            contender,
            program: program.to_owned(),
            conf: json!({ "cniVersion": "1.0.0", "name": NETWORK, "type": "bridge", "ipam": ipam }),
            size: 0,
            in_use,
        })
    }

    /// Changes the addresses as another program would. `false` if that makes no difference to the next call.
    pub(super) fn change_from_outside(&self) -> Result<bool> {
        match (self.contender, &self.in_use) {
            (Contender::Disk, InUse::Files(files)) => files.come_and_go().map(|()| true),
            _ => Ok(false),
        }
    }
}

impl Entrant for Entry {
    type Operation = Operation;
    type Contender = Contender;

    fn contender(&self) -> Contender {
        self.contender
    }

    fn size(&self) -> u32 {
        self.size
    }

    /// Puts more addresses into use, by other attachments than those that calls are for.
    fn prepare(&mut self) -> Result<()> {
        match &mut self.in_use {
            InUse::Nowhere => Ok(()),
            InUse::Files(files) => files.grow_to(self.size),
            InUse::Database(database) => database.grow_to(self.size),
        }
    }

    /// An error unless as many addresses are in use as there should be.
    fn check(&self) -> Result<()> {
        match &self.in_use {
            InUse::Nowhere => Ok(()),
            InUse::Files(files) => files.check(),
            InUse::Database(database) => database.check(),
        }
    }

    fn call(&self, operation: Operation, round: usize) -> Call {
        let container = match operation {
            Operation::DelOfNothing => container::stranger(round),
            _ => container::caller(round),
        };
        Call::plugin(&self.program, operation.command(), &container, &self.conf)
    }

    fn answer(&self, operation: Operation) -> Answer {
        match (self.contender, operation) {
            (Contender::Empty | Contender::Bare, _)
            | (_, Operation::Del | Operation::DelOfNothing) => Answer::Nothing,
            (_, Operation::Add | Operation::AddAfterChange) => Answer::Address,
        }
    }
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
