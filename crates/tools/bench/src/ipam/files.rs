//! Addresses in use, as the Go plugin notes them.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::held::{self, IFNAME};
use crate::{container, state_dir};

/// An address far from those in use.
const FOREIGN: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 1);

/// A network's folder.
#[derive(Debug)]
pub(super) struct AddressFiles {
    folder: PathBuf,
    in_use: u32,
}

impl AddressFiles {
    /// A network with no addresses in use.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            in_use: 0,
        })
    }

    /// Writes files until that many consecutive addresses are in use, as if they had been given one after another.
    pub(super) fn grow_to(&mut self, size: u32) -> Result<()> {
        if self.in_use >= size {
            return Ok(());
        }
        for number in self.in_use..size {
            self.give(held::address(number), &container::holder(number))?;
        }
        self.in_use = size;
        let last = self.folder.join("last_reserved_ip.0");
        fs::write(&last, held::address(size - 1).to_string())
            .with_context(|| format!("cannot write {}", last.display()))?;
        // Else the kernel writes it all out while calls are measured.
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    /// Gives an address to another container and takes it back.
    pub(super) fn come_and_go(&self) -> Result<()> {
        self.give(FOREIGN, "foreign")?;
        fs::remove_file(self.folder.join(FOREIGN.to_string())).context("cannot remove a file")
    }

    /// An error unless exactly those addresses are in use that were put into use here.
    pub(super) fn check(&self) -> Result<()> {
        let count = state_dir::count(&self.folder, |name| name.parse::<IpAddr>().is_ok())?;
        let folder = self.folder.display();
        let in_use = self.in_use;
        ensure!(
            count == in_use,
            "{folder} has {count} addresses in use instead of {in_use}"
        );
        Ok(())
    }

    fn give(&self, address: Ipv4Addr, container: &str) -> Result<()> {
        let path = self.folder.join(address.to_string());
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let written = options
            .open(&path)
            .and_then(|mut file| write!(file, "{container}\r\n{IFNAME}"));
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_the_go_plugins_format() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = AddressFiles::new(&folder.path().join("net")).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join("net").join(name)).unwrap();
        files.grow_to(0).unwrap();
        files.check().unwrap();
        files.grow_to(2).unwrap();
        files.grow_to(300).unwrap();
        assert_eq!(
            read("10.0.0.2"),
            format!("{}\r\neth0", container::holder(0))
        );
        assert_eq!(read("last_reserved_ip.0"), "10.0.1.45");
        assert_eq!(
            read("10.0.1.45"),
            format!("{}\r\neth0", container::holder(299))
        );
        files.check().unwrap();
    }

    #[test]
    fn a_leak_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = AddressFiles::new(folder.path()).unwrap();
        files.grow_to(2).unwrap();
        files.come_and_go().unwrap();
        files.check().unwrap();
        fs::write(folder.path().join("10.0.0.9"), "").unwrap();
        let error = files.check().unwrap_err().to_string();
        assert!(
            error.ends_with("has 3 addresses in use instead of 2"),
            "{error}"
        );
    }
}
