//! host-local: ADD and DEL by the number of addresses in use.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use xtask::command::{self, Show};

use crate::Setting;
use crate::call::{ProgramCall, container_id};
use crate::contest::{Contest, EMPTY, Entrant};
use crate::figures::Figures;
use crate::report::{Report, Target};
use crate::state_dir::held;

const NETWORK: &str = "net";
/// Larger than any number of addresses in use.
const SUBNET: &str = "10.0.0.0/8";
/// The first address in use; the gateway is before it.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// An address far from those in use.
const FOREIGN: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 1);

const DISK: &str = "disk";
const DB: &str = "db";
const GO: &str = "Go";

const AFTER_CHANGE: &str = "ADD after a change";
const OF_NOTHING: &str = "DEL of nothing";
const OPERATIONS: &[&str] = &["ADD", "DEL", OF_NOTHING, AFTER_CHANGE];

pub(crate) fn measure(setting: &Setting) -> Result<Report> {
    let go = testkit::requirements::reference_plugin("host-local")
        .context("Debian package containernetworking-plugins has no host-local")?;
    let own = setting.plugins.join("host-local");
    let contenders = [(EMPTY, &setting.empty), (DISK, &own), (DB, &own), (GO, &go)];
    let (sizes, rounds, seconds): (&[u32], _, _) = match setting.quick {
        true => (&[0, 1_000, 10_000], 100, 3),
        false => (&[0, 1_000, 10_000, 25_000, 50_000], 300, 12),
    };
    let contest = Contest {
        round: OPERATIONS,
        rounds,
        budget: Duration::from_secs(seconds),
        looks: &setting.looks,
        look_rounds: 1,
    };
    let mut figures = Figures::default();
    for size in sizes {
        let mut entries = Vec::new();
        for (contender, program) in contenders {
            let data_dir = setting.state.dir(&format!("{contender}-{size}"));
            let twill = setting.plugins.join("twill");
            entries.push(Entry::new(contender, program, &twill, *size, data_dir)?);
        }
        contest.run(&format!("{size} addresses in use"), &entries, &mut figures)?;
    }
    let add = |contender, size| ("ADD", contender, size);
    let time = |one, other, limit| Target::time(&figures, one, other, limit);
    let memory = |name, contender| Target::amount(name, figures.peak(contender), 4 * 1024);
    let targets = vec![
        time(add(DISK, 0), add(GO, 0), 0.45),
        time(add(DISK, 0), add(EMPTY, 0), 1.6),
        time(add(DISK, 50_000), add(DISK, 0), 1.3),
        time(add(DB, 50_000), add(DB, 0), 1.5),
        memory("disk: peak memory of any call", DISK),
        memory("db: peak memory of any call", DB),
    ];
    Ok(Report {
        title: "host-local by addresses in use",
        size: "in use",
        remarks: "disk and db are Twill's backends; Go is Debian's host-local. The addresses in \
                  use were given one\nafter another; their files are in the kernel's caches.\n",
        contenders: &[EMPTY, DISK, DB, GO],
        operations: OPERATIONS,
        plotted: &["ADD", "DEL"],
        compared: &[(DISK, GO), (DISK, EMPTY), (DB, GO), (DB, EMPTY)],
        targets,
        figures,
    })
}

/// A contender with its own addresses in use.
struct Entry {
    contender: &'static str,
    program: PathBuf,
    twill: PathBuf,
    size: u32,
    data_dir: PathBuf,
    conf: Value,
}

impl Entry {
    fn new(
        contender: &'static str,
        program: &Path,
        twill: &Path,
        size: u32,
        data_dir: PathBuf,
    ) -> Result<Self> {
        let backend = if contender == DB {
            json!({ "backend": "db" })
        } else {
            json!({})
        };
        let ranges = json!([[{ "subnet": SUBNET }]]);
        let ipam = json!({ "type": "host-local", "dataDir": data_dir, "ranges": ranges });
        let ipam = testkit::conf::with(ipam, backend);
        let entry = Self {
            contender,
            program: program.to_owned(),
            twill: twill.to_owned(),
            size,
            data_dir,
            conf: json!({ "cniVersion": "1.0.0", "name": NETWORK, "type": "bridge", "ipam": ipam }),
        };
        if contender != EMPTY {
            entry.put_into_use()?;
        }
        Ok(entry)
    }

    fn network_dir(&self) -> PathBuf {
        self.data_dir.join(NETWORK)
    }

    /// Writes the files of consecutive addresses, as the Go plugin does.
    fn put_into_use(&self) -> Result<()> {
        let dir = self.network_dir();
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let mut last = None;
        for number in 0..self.size {
            let address = Ipv4Addr::from_bits(FIRST.to_bits() + number);
            self.give(address, &container_id("holder", number as usize))?;
            last = Some(address);
        }
        if let Some(last) = last {
            crate::write(&dir.join("last_reserved_ip.0"), &last.to_string())?;
        }
        // Else the kernel writes it all out while calls are measured.
        File::open(&dir)?.sync_all()?;
        if self.contender == DB {
            self.convert("db")?;
        }
        Ok(())
    }

    fn give(&self, address: Ipv4Addr, container: &str) -> Result<()> {
        let path = self.network_dir().join(address.to_string());
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| write!(file, "{container}\r\neth0"))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Moves the addresses between the backends.
    fn convert(&self, to: &str) -> Result<()> {
        let mut twill = Command::new(&self.twill);
        twill
            .args(["convert", to, NETWORK, "--data-dir"])
            .arg(&self.data_dir);
        command::run(twill, Show::IfItFails)
    }
}

impl Entrant for Entry {
    fn contender(&self) -> &'static str {
        self.contender
    }

    fn size(&self) -> u32 {
        self.size
    }

    fn call(&self, operation: &'static str, round: usize) -> ProgramCall {
        let (command, container) = match operation {
            OF_NOTHING => ("DEL", container_id("stranger", round)),
            AFTER_CHANGE => ("ADD", container_id("caller", round)),
            _ => (operation, container_id("caller", round)),
        };
        ProgramCall::plugin(&self.program, command, &container, &self.conf)
            .silent_if(self.contender == EMPTY)
    }

    /// Another program changes the addresses, so that the index must be rebuilt. That is slow, and
    /// not needed often.
    fn before(&self, operation: &str, round: usize) -> Result<bool> {
        if operation != AFTER_CHANGE {
            return Ok(true);
        }
        if self.contender != DISK || !round.is_multiple_of(30) {
            return Ok(false);
        }
        self.give(FOREIGN, "foreign")?;
        fs::remove_file(self.network_dir().join(FOREIGN.to_string()))?;
        Ok(true)
    }

    fn after(&self, operation: &str, round: usize) -> Result<()> {
        if operation == AFTER_CHANGE {
            self.call("DEL", round).run()?;
        }
        Ok(())
    }

    /// An error unless as many addresses are in use as there should be.
    fn check(&self) -> Result<()> {
        if self.contender == DB {
            self.convert("disk")?;
        }
        let (count, size) = (held(&self.network_dir()).len(), self.size as usize);
        let expected = if self.contender == EMPTY { 0 } else { size };
        ensure!(
            count == expected,
            "{count} addresses are in use instead of {expected}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_the_go_plugins_format_and_a_leak_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let none = Path::new("/bin/true");
        let entry = Entry::new(DISK, none, none, 300, path).unwrap();
        let read = |name: &str| fs::read_to_string(entry.network_dir().join(name)).unwrap();
        assert_eq!(
            read("10.0.0.2"),
            format!("{}\r\neth0", container_id("holder", 0))
        );
        assert_eq!(read("last_reserved_ip.0"), "10.0.1.45");
        assert!(entry.before(AFTER_CHANGE, 0).unwrap());
        entry.check().unwrap();
        fs::write(entry.network_dir().join("10.9.0.9"), "").unwrap();
        let error = entry.check().unwrap_err().to_string();
        assert_eq!(error, "301 addresses are in use instead of 300");
    }
}
