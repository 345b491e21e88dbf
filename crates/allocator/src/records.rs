//! All that a node has recorded of its addresses, for who looks and changes nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

use cni_types::NetworkName;
use state::{BootId, Dir, StampedFile, StateError};

use crate::disk::{BootTag, address_of, last_given_index, read_last_given, tag_of_boot};
use crate::{Age, Owner};

/// What is recorded of a network's addresses in one backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The addresses that are not free, in ascending order.
    pub records: Vec<Record>,
    /// The address that each range set gave last, by the set's index.
    pub last_given: BTreeMap<usize, IpAddr>,
}

/// An address that is not free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The address.
    pub address: IpAddr,
    /// Who holds it, or why nobody does.
    pub owner: Result<Owner, Unowned>,
    /// The boot in which it was given.
    pub age: Age,
    /// When it was given, or taken over from another plugin, as far as the file system says it.
    /// The database does not.
    pub since: Option<SystemTime>,
}

/// Why a file with the name of an address gives it to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unowned {
    /// The file is empty or garbled, as after a power cut. The next ADD that wants the address
    /// replaces the file.
    Debris,
    /// The file has somebody's own text, and blocks the address.
    Text,
    /// It is no regular file, and blocks the address.
    NotAFile,
}

/// The networks that have a directory in `data_dir`, in ascending order. None if `data_dir` does
/// not exist.
///
/// # Errors
/// [`StateError`] if the directory cannot be read.
pub fn networks_in_files(data_dir: &Path) -> Result<Vec<NetworkName>, StateError> {
    let mut networks = Vec::new();
    let Some(data_dir) = Dir::open(data_dir)? else {
        return Ok(networks);
    };
    data_dir.visit(|name| {
        let name = name.to_str().and_then(|name| name.parse().ok());
        networks.extend(name);
        Ok::<_, StateError>(())
    })?;
    networks.retain(|name: &NetworkName| {
        !matches!(
            data_dir.open_linked_child(name.as_str()),
            Ok(None) | Err(StateError::NotADirectory(_))
        )
    });
    networks.sort_unstable();
    Ok(networks)
}

/// Reads the address files of a network, without a lock; those of the Go plugin are the same.
/// `None` if the network has no directory. `boot` is the ID of the running boot, if the kernel
/// reports it.
///
/// # Errors
/// [`StateError`] if the directory, or a file in it, cannot be read.
pub fn read_files(
    data_dir: &Path,
    network: &NetworkName,
    boot: Option<BootId>,
) -> Result<Option<Records>, StateError> {
    let Some(data_dir) = Dir::open(data_dir)? else {
        return Ok(None);
    };
    let directory = match data_dir.open_linked_child(network.as_str()) {
        Ok(Some(directory)) => directory,
        Ok(None) | Err(StateError::NotADirectory(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let tag = boot.map(|boot| tag_of_boot(&data_dir, network, boot));
    let mut all = Records::default();
    directory.visit(|name| {
        let Some(name) = name.to_str() else {
            return Ok(());
        };
        if let Some(address) = address_of(name) {
            match directory.read_stamped(name) {
                Ok(None) => {}
                Ok(Some(file)) => all.records.push(record(address, &file, tag)),
                Err(StateError::NotAFile(_)) => all.records.push(Record {
                    address,
                    owner: Err(Unowned::NotAFile),
                    age: Age::ThisBoot,
                    since: None,
                }),
                Err(error) => return Err(error),
            }
        } else if let Some(index) = last_given_index(name) {
            let last = match directory.read(name) {
                Err(StateError::NotAFile(_)) => None,
                contents => contents?.and_then(read_last_given),
            };
            all.last_given.extend(last.map(|last| (index, last)));
        }
        Ok::<_, StateError>(())
    })?;
    all.records.sort_unstable_by_key(|record| record.address);
    Ok(Some(all))
}

fn record(address: IpAddr, file: &StampedFile, tag: Option<BootTag>) -> Record {
    let is_tagged = tag.is_some_and(|tag| tag.is_tag(file.stamp));
    let given = if is_tagged { file.changed } else { file.stamp };
    Record {
        address,
        owner: Owner::parse(&file.contents).ok_or_else(|| {
            if Owner::is_debris(&file.contents) {
                Unowned::Debris
            } else {
                Unowned::Text
            }
        }),
        age: tag.map_or(Age::ThisBoot, |tag| tag.age(file.stamp)),
        since: given.moment(),
    }
}
