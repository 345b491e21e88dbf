//! Tests of `convert`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use cni_types::Attachment;
use state::BootId;
use tempfile::TempDir;

use super::*;
use crate::range::tests::{ip, spec};
use crate::{Demand, OpenNetwork, Range, RangeSet, RangeSets, Reclaim, SetKey, allocate};

const TIMEOUT: Duration = Duration::from_secs(10);

/// What a store has, as text.
type Snapshot = (Vec<String>, BTreeMap<usize, IpAddr>);

struct Directory(TempDir);

fn boot(digit: u8) -> Option<BootId> {
    BootId::parse(&format!("5a2e9ee8-5b0c-4a34-b5c4-00000000000{digit}"))
}

fn snapshot(mut store: Box<dyn Store + '_>) -> Snapshot {
    let mut all = store.all().unwrap();
    all.sort_unstable();
    let lines = all.into_iter().map(|held| {
        let lease = store.lease(held.address).unwrap().unwrap();
        assert_eq!(lease.age, held.age);
        format!("{} {} {:?}", held.address, lease.owner.in_words(), held.age)
    });
    let lines = lines.collect();
    (lines, store.all_last_given().unwrap())
}

impl Directory {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn location(&self, backend: StoreKind) -> Location {
        Location {
            data_dir: self.path().to_owned(),
            network: "net".parse().unwrap(),
            backend,
            lock_timeout: TIMEOUT,
        }
    }

    fn in_disk(&self) -> Snapshot {
        let disk = self.location(StoreKind::Disk);
        snapshot(begin(&disk.create().unwrap(), 2))
    }

    fn in_db(&self) -> Snapshot {
        let db = self.location(StoreKind::Db);
        snapshot(begin(&db.create().unwrap(), 2))
    }

    fn to_db(&self) -> Result<usize, String> {
        self.convert(StoreKind::Db)
    }

    fn to_disk(&self) -> Result<usize, String> {
        self.convert(StoreKind::Disk)
    }

    fn convert(&self, to: StoreKind) -> Result<usize, String> {
        let moved = convert(&self.location(to), boot(2)).map_err(|error| error.to_string())?;
        Ok(moved.unwrap())
    }
}

fn begin<'a>(network: &'a OpenNetwork<'_>, boot_digit: u8) -> Box<dyn Store + 'a> {
    network.begin(boot(boot_digit)).unwrap()
}

fn sets() -> RangeSets {
    let sets = ["10.1.0.0/16", "fd00::/64"].map(|subnet| {
        let range = Range::new(spec(subnet)).unwrap();
        RangeSet::new(vec![range]).unwrap()
    });
    RangeSets::new(sets.into()).unwrap()
}

fn add(mut store: Box<dyn Store + '_>, container: &str) {
    let attachment = Attachment {
        container_id: container.parse().unwrap(),
        ifname: "eth0".parse().unwrap(),
    };
    let demand = Demand {
        attachment: &attachment,
        sets: &sets(),
        requested: &[],
        reclaim: Reclaim::AfterReboot,
    };
    allocate(&mut *store, &demand).unwrap();
    store.commit().unwrap();
}

/// Addresses of this boot and of one before, one without an interface, and the last ones of two
/// sets.
fn directory() -> Directory {
    let directory = Directory(tempfile::tempdir().unwrap());
    let disk = directory.location(StoreKind::Disk);
    let network = disk.create().unwrap();
    add(begin(&network, 1), "c1");
    add(begin(&network, 2), "c2");
    fs::write(directory.path().join("net/10.1.0.77"), "old").unwrap();
    directory
}

#[test]
fn converting_there_and_back_loses_nothing() {
    let directory = directory();
    let before = directory.in_disk();
    assert_eq!(
        before.0,
        [
            "10.1.0.2 c1 eth0 EarlierBoot",
            "10.1.0.3 c2 eth0 ThisBoot",
            "10.1.0.77 old ThisBoot",
            "fd00::2 c1 eth0 EarlierBoot",
            "fd00::3 c2 eth0 ThisBoot",
        ]
    );
    assert_eq!(before.1, [(0, ip("10.1.0.3")), (1, ip("fd00::3"))].into());

    assert_eq!(directory.to_db(), Ok(5));
    assert_eq!(directory.in_db(), before);
    assert_eq!(directory.in_disk().0, [""; 0]);
    // The next address is the next.
    let db = directory.location(StoreKind::Db);
    let network = db.create().unwrap();
    let mut store = begin(&network, 2);
    let sets = sets();
    let set = sets.iter().next().unwrap();
    let last = store.last_given(SetKey { index: 0, set }).unwrap();
    assert_eq!(last, Some(ip("10.1.0.3")));
    drop(store);

    assert_eq!(directory.to_disk(), Ok(5));
    assert_eq!(directory.in_disk(), before);
    assert_eq!(directory.in_db().0, [""; 0]);
    assert_eq!(directory.to_disk(), Ok(0));
}

#[test]
fn convert_can_be_repeated_and_refuses_conflicts() {
    let directory = directory();
    let before = directory.in_disk();
    // As a kill between the two commits leaves it: everything in both.
    assert_eq!(directory.to_db(), Ok(5));
    let locations = [StoreKind::Disk, StoreKind::Db].map(|backend| directory.location(backend));
    let [disk, db] = locations
        .each_ref()
        .map(|location| location.create().unwrap());
    let (mut disk, mut db) = (begin(&disk, 2), begin(&db, 2));
    for held in db.all().unwrap() {
        let lease = db.lease(held.address).unwrap().unwrap();
        assert!(disk.adopt(&lease).unwrap());
    }
    drop(db);
    disk.commit().unwrap();
    assert_eq!(directory.to_db(), Ok(5));
    assert_eq!(directory.in_db().0, before.0);

    fs::write(directory.path().join("net/10.1.0.2"), "other\r\neth0").unwrap();
    assert_eq!(
        directory.to_db(),
        Err(
            "10.1.0.2 is held by other eth0 in one store and by c1 eth0 in the other: release it \
            in one of them"
                .into()
        )
    );
    assert_eq!(directory.in_db().0, before.0);
    assert_eq!(directory.in_disk().0, ["10.1.0.2 other eth0 ThisBoot"]);
}

#[test]
fn many_addresses_are_converted() {
    let directory = Directory(tempfile::tempdir().unwrap());
    for number in 2..2502 {
        let [high, low] = u16::to_be_bytes(number);
        let file = directory.path().join(format!("net/10.1.{high}.{low}"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, format!("c{number}\r\neth0")).unwrap();
    }
    assert_eq!(directory.to_db(), Ok(2500));
    assert_eq!(directory.to_disk(), Ok(2500));
    let disk = directory.location(StoreKind::Disk);
    let network = disk.create().unwrap();
    let mut store = begin(&network, 2);
    for number in [2u16, 1000, 2501] {
        let attachment = Attachment {
            container_id: format!("c{number}").parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        };
        assert_eq!(store.held_by(&attachment).unwrap().len(), 1);
    }
}
