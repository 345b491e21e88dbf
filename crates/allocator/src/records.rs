//! All that a node has recorded of its addresses, for who looks and changes nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

use cni_types::NetworkName;
use state::{BootId, Dir, StampedFile, StateError};

use crate::disk::{self, BootTag, address_of, last_given_index, read_last_given, tag_of_boot};
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
    let Some((directory, tag)) = open(data_dir, network, boot)? else {
        return Ok(None);
    };
    let mut all = Records::default();
    directory.visit(|name| {
        let Some(name) = name.to_str() else {
            return Ok(());
        };
        if let Some(address) = address_of(name) {
            all.records.extend(read_record(&directory, address, tag)?);
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

/// Reads one address file of a network, without a lock. `None` if the address is free.
///
/// # Errors
/// As [`read_files`].
pub fn read_file(
    data_dir: &Path,
    network: &NetworkName,
    address: IpAddr,
    boot: Option<BootId>,
) -> Result<Option<Record>, StateError> {
    match open(data_dir, network, boot)? {
        Some((directory, tag)) => read_record(&directory, address, tag),
        None => Ok(None),
    }
}

/// The first address whose file names an owner that the network's index does not have for it,
/// although the index counts as current: the plugins would not find the address by its owner.
/// `records` are those of [`read_files`], of which only the owner and the interface are used; files
/// are read again where they and the index differ. Takes no lock, and changes nothing.
///
/// # Errors
/// [`StateError`] if a directory or a file cannot be read.
pub fn lacking_in_index(
    data_dir: &Path,
    network: &NetworkName,
    boot: Option<BootId>,
    records: &[Record],
) -> Result<Option<IpAddr>, StateError> {
    let Some((directory, tag)) = open(data_dir, network, boot)? else {
        return Ok(None);
    };
    let Some(data_dir) = Dir::open(data_dir)? else {
        return Ok(None);
    };
    // An older version recorded no interface.
    let owner_of = |record: &Record| {
        let owner = record.owner.as_ref().ok();
        owner.filter(|owner| owner.ifname.is_some()).cloned()
    };
    let owners = records.iter().filter_map(|record| {
        let owner = record.owner.as_ref().ok()?;
        owner.ifname.is_some().then_some((record.address, owner))
    });
    disk::lacking_in_index(&data_dir, &directory, network, boot, owners, |address| {
        let record = read_record(&directory, address, tag)?;
        Ok(record.as_ref().and_then(owner_of))
    })
}

/// Opens a network's directory, with the tag of the boot there.
fn open(
    data_dir: &Path,
    network: &NetworkName,
    boot: Option<BootId>,
) -> Result<Option<(Dir, Option<BootTag>)>, StateError> {
    let Some(data_dir) = Dir::open(data_dir)? else {
        return Ok(None);
    };
    let directory = match data_dir.open_linked_child(network.as_str()) {
        Ok(Some(directory)) => directory,
        Ok(None) | Err(StateError::NotADirectory(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let tag = boot.map(|boot| tag_of_boot(&data_dir, network, boot));
    Ok(Some((directory, tag)))
}

fn read_record(
    directory: &Dir,
    address: IpAddr,
    tag: Option<BootTag>,
) -> Result<Option<Record>, StateError> {
    match directory.read_stamped(&address.to_string()) {
        Ok(file) => Ok(file.map(|file| record(address, &file, tag))),
        Err(StateError::NotAFile(_)) => Ok(Some(Record {
            address,
            owner: Err(Unowned::NotAFile),
            age: Age::ThisBoot,
            since: None,
        })),
        Err(error) => Err(error),
    }
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

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;
    use crate::{
        Demand, Location, Range, RangeSet, RangeSets, RangeSpec, Reclaim, StoreKind, allocate,
    };

    fn boot(digit: u8) -> Option<BootId> {
        BootId::parse(&format!("5a2e9ee8-5b0c-4a34-b5c4-00000000000{digit}"))
    }

    fn give(
        data_dir: &Path,
        store: StoreKind,
        network: &str,
        container: &str,
        boot: Option<BootId>,
    ) {
        let location = Location {
            data_dir: data_dir.to_owned(),
            network: network.parse().unwrap(),
            backend: store,
            lock_timeout: Duration::from_secs(60),
        };
        let range = Range::new(RangeSpec {
            subnet: "10.1.1.0/24".parse().unwrap(),
            start: None,
            end: None,
            gateway: None,
        });
        let sets = RangeSets::new(vec![RangeSet::new(vec![range.unwrap()]).unwrap()]).unwrap();
        let attachment = cni_types::Attachment {
            container_id: container.parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        };
        let network = location.create().unwrap();
        let mut store = network.begin(boot).unwrap();
        let demand = Demand {
            attachment: &attachment,
            sets: &sets,
            requested: &[],
            reclaim: Reclaim::AfterReboot,
        };
        allocate(store.as_mut(), &demand).unwrap();
        store.commit().unwrap();
    }

    fn shown(records: &Records) -> Vec<String> {
        let records = records.records.iter();
        let shown = records.map(|record| {
            let owner = record.owner.as_ref().map(Owner::in_words);
            format!("{} {:?} {:?}", record.address, owner, record.age)
        });
        shown.collect()
    }

    #[test]
    fn files_are_read_with_their_boot_and_without_a_change() {
        let temp = tempfile::tempdir().unwrap();
        let data_dir = temp.path();
        let network: NetworkName = "net".parse().unwrap();
        assert_eq!(read_files(data_dir, &network, boot(1)).unwrap(), None);
        let before = SystemTime::now();
        give(data_dir, StoreKind::Disk, "net", "c1", boot(1));
        give(data_dir, StoreKind::Disk, "net", "c2", boot(2));
        // The Go plugin's: its time is the moment of the ADD.
        let dir = data_dir.join("net");
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        fs::write(dir.join("10.1.1.7"), "c7\r\neth0").unwrap();
        File::options()
            .write(true)
            .open(dir.join("10.1.1.7"))
            .and_then(|file| file.set_modified(then))
            .unwrap();
        fs::write(dir.join("10.1.1.8"), "").unwrap();
        fs::write(dir.join("10.1.1.9"), "reserved for the printer").unwrap();
        symlink("10.1.1.7", dir.join("10.1.1.10")).unwrap();
        fs::write(data_dir.join("file"), "").unwrap();

        let modified = fs::metadata(&dir).unwrap().modified().unwrap();
        let records = read_files(data_dir, &network, boot(2)).unwrap().unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().modified().unwrap(), modified);
        assert_eq!(
            shown(&records),
            [
                "10.1.1.2 Ok(\"c1 eth0\") EarlierBoot",
                "10.1.1.3 Ok(\"c2 eth0\") ThisBoot",
                "10.1.1.7 Ok(\"c7 eth0\") ThisBoot",
                "10.1.1.8 Err(Debris) ThisBoot",
                "10.1.1.9 Err(Text) ThisBoot",
                "10.1.1.10 Err(NotAFile) ThisBoot",
            ]
        );
        assert_eq!(
            records.last_given,
            [(0, "10.1.1.3".parse().unwrap())].into()
        );
        let since = |index: usize| records.records[index].since.unwrap();
        // File systems stamp with a clock that is some milliseconds late.
        let earliest = before - Duration::from_millis(100);
        assert!(since(0) >= earliest && since(1) <= SystemTime::now());
        assert_eq!(since(2), then);
        assert_eq!(networks_in_files(data_dir).unwrap(), [network]);
    }

    #[cfg(feature = "db")]
    #[test]
    fn all_networks_of_a_database_are_read() {
        let temp = tempfile::tempdir().unwrap();
        let read = || crate::read_database(temp.path(), Duration::from_secs(60), boot(2)).unwrap();
        assert_eq!(read(), None);
        give(temp.path(), StoreKind::Db, "b", "c1", boot(1));
        give(temp.path(), StoreKind::Db, "a", "c1", boot(2));
        give(temp.path(), StoreKind::Db, "a", "c2", boot(2));
        let networks = read().unwrap();
        let all: Vec<_> = networks
            .iter()
            .map(|(network, records)| (network.as_str(), shown(records)))
            .collect();
        let a = [
            "10.1.1.2 Ok(\"c1 eth0\") ThisBoot",
            "10.1.1.3 Ok(\"c2 eth0\") ThisBoot",
        ];
        let b = ["10.1.1.2 Ok(\"c1 eth0\") EarlierBoot"];
        let expected = [
            ("a", a.map(str::to_owned).to_vec()),
            ("b", b.map(str::to_owned).to_vec()),
        ];
        assert_eq!(all, expected);
        let last = |network: &str| networks[&network.parse().unwrap()].last_given[&0].to_string();
        assert_eq!([last("a"), last("b")], ["10.1.1.3", "10.1.1.2"]);
    }
}
