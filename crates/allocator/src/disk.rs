//! The Go plugin's format: a folder a network, a file an address.
//!
//! ```text
//! <dataDir>/<network>/<address>             "<container id>\r\n<ifname>", mode 0600
//! <dataDir>/<network>/last_reserved_ip.<n>  the address that range set n has given last
//! <dataDir>/<network>/lock                  flock(2), held exclusively for a whole operation
//! ```
//!
//! Both plugins may work on one folder at once: the lock is the same, and each understands the other's files.

mod owner;

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use cni_types::{Attachment, NetworkName};
use state::{Dir, StateError, WriteGuard};

use self::owner::Owner;
use crate::Store;

/// The modes of the folders, which are the Go plugin's.
const FOLDER_MODE: u32 = 0o755;

const LOCK: &str = "lock";

/// The folder with a network's addresses.
#[derive(Debug)]
pub struct NetworkDir(Dir);

impl NetworkDir {
    /// Opens the network's folder in `data_dir`; `None` if it does not exist, and the network has given no address.
    pub fn open(data_dir: &Path, network: &NetworkName) -> Result<Option<Self>, StateError> {
        match Dir::open(data_dir)? {
            None => Ok(None),
            Some(data_dir) => Ok(data_dir.open_child(network.as_str())?.map(Self)),
        }
    }

    /// Opens the network's folder in `data_dir`, and makes both where they are missing.
    pub fn create(data_dir: &Path, network: &NetworkName) -> Result<Self, StateError> {
        let data_dir = Dir::create(data_dir, FOLDER_MODE)?;
        data_dir
            .create_child(network.as_str(), FOLDER_MODE)
            .map(Self)
    }

    /// Takes the network's lock, waiting for at most `patience`.
    pub fn lock(&self, patience: Duration) -> Result<DiskStore<'_>, StateError> {
        self.0.lock(LOCK, patience).map(|guard| DiskStore { guard })
    }
}

/// A network's addresses as files, under the held lock.
#[derive(Debug)]
pub struct DiskStore<'a> {
    guard: WriteGuard<'a>,
}

impl DiskStore<'_> {
    fn owner(&self, file: &str) -> Result<Found, StateError> {
        match self.guard.dir().read(file) {
            Ok(None) => Ok(Found::Nothing),
            Ok(Some(contents)) => Ok(Owner::parse(&contents).map_or(Found::Debris, Found::Owner)),
            // Nothing of ours. It is left alone, and so is its address.
            Err(StateError::NotAFile(_)) => Ok(Found::Foreign),
            Err(error) => Err(error),
        }
    }
}

/// What is under an address's name.
enum Found {
    Nothing,
    Owner(Owner),
    /// An empty or garbled file: what a power cut leaves of one, or a full disk of another plugin's. It says that nobody
    /// holds the address, since under the lock nobody is just writing it.
    Debris,
    Foreign,
}

impl Store for DiskStore<'_> {
    type Error = StateError;

    fn last_given(&mut self, set: usize) -> Result<Option<IpAddr>, StateError> {
        let contents = self.guard.dir().read(&last_given_file(set))?;
        Ok(contents.and_then(|contents| {
            let text = String::from_utf8(contents).ok()?;
            cni_types::parse_ip(text.trim()).ok()
        }))
    }

    fn held_by(&mut self, attachment: &Attachment) -> Result<Vec<IpAddr>, StateError> {
        let (mut held, mut held_by_container) = (Vec::new(), Vec::new());
        for name in self.guard.dir().names()? {
            let Some(address) = name.to_str().and_then(address_of) else {
                continue;
            };
            let Found::Owner(owner) = self.owner(&address.to_string())? else {
                continue;
            };
            if owner.is(attachment) {
                held.push(address);
            } else if owner.is_only(&attachment.container_id) {
                held_by_container.push(address);
            }
        }
        Ok(if held.is_empty() {
            held_by_container
        } else {
            held
        })
    }

    fn reserve(
        &mut self,
        address: IpAddr,
        attachment: &Attachment,
        set: usize,
    ) -> Result<bool, StateError> {
        let file = address.to_string();
        let contents = Owner::from(attachment).to_string();
        if !self.guard.create(&file, contents.as_bytes())? {
            let Found::Debris = self.owner(&file)? else {
                return Ok(false);
            };
            self.guard.replace(&file, contents.as_bytes())?;
        }
        self.guard
            .replace(&last_given_file(set), file.as_bytes())
            .inspect_err(|_| {
                let _ = self.guard.remove(&file);
            })?;
        Ok(true)
    }

    fn release(&mut self, address: IpAddr) -> Result<(), StateError> {
        self.guard.remove(&address.to_string()).map(drop)
    }
}

fn last_given_file(set: usize) -> String {
    format!("last_reserved_ip.{set}")
}

/// The address whose file has this name; names are in canonical form (RFC 5952), so no address has two.
fn address_of(name: &str) -> Option<IpAddr> {
    let address = cni_types::parse_ip(name).ok()?;
    (address.to_string() == name).then_some(address)
}

#[cfg(test)]
mod tests;
