//! Tests of moving addresses between stores.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use cni_types::{Attachment, NetworkName};
use state::BootId;
use tempfile::TempDir;

use super::*;
use crate::range::tests::{ip, spec};
use crate::{Database, Demand, NetworkDir, Range, RangeSet, RangeSets, Reclaim, SetKey, allocate};

const TIMEOUT: Duration = Duration::from_secs(10);

/// What a store has, as text.
type Snapshot = (Vec<String>, BTreeMap<usize, IpAddr>);

struct Directory(TempDir);

fn boot(digit: u8) -> Option<BootId> {
    BootId::parse(&format!("5a2e9ee8-5b0c-4a34-b5c4-00000000000{digit}"))
}

fn name() -> NetworkName {
    "net".parse().unwrap()
}

fn snapshot<S: Store>(mut store: S) -> Snapshot
where
    S::Error: std::fmt::Debug,
{
    let mut all = store.all().unwrap();
    all.sort_unstable();
    let lines = all.into_iter().map(|held| {
        let holding = store.holding(held.address).unwrap().unwrap();
        assert_eq!(holding.age, held.age);
        format!("{} {} {:?}", held.address, one(&holding), held.age)
    });
    let lines = lines.collect();
    (lines, store.all_last_given().unwrap())
}

impl Directory {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn disk(&self) -> NetworkDir {
        NetworkDir::create(self.path(), &name()).unwrap()
    }

    fn db(&self) -> Database {
        Database::create(self.path()).unwrap()
    }

    fn in_disk(&self) -> Snapshot {
        snapshot(self.disk().lock(TIMEOUT, boot(2)).unwrap())
    }

    fn in_db(&self) -> Snapshot {
        snapshot(self.db().begin(TIMEOUT, boot(2)).unwrap().network(&name()))
    }

    fn to_db(&self) -> Result<usize, String> {
        let (disk, db) = (self.disk(), self.db());
        let from = disk.lock(TIMEOUT, boot(2)).unwrap();
        let to = db.begin(TIMEOUT, boot(2)).unwrap().network(&name());
        transfer(from, to).map_err(|error| error.to_string())
    }

    fn to_disk(&self) -> Result<usize, String> {
        let (disk, db) = (self.disk(), self.db());
        let from = db.begin(TIMEOUT, boot(2)).unwrap().network(&name());
        let to = disk.lock(TIMEOUT, boot(2)).unwrap();
        transfer(from, to).map_err(|error| error.to_string())
    }
}

fn sets() -> RangeSets {
    let sets = ["10.1.0.0/16", "fd00::/64"].map(|subnet| {
        let range = Range::new(spec(subnet)).unwrap();
        RangeSet::new(vec![range]).unwrap()
    });
    RangeSets::new(sets.into()).unwrap()
}

fn add<S: Store>(store: S, container: &str)
where
    S::Error: std::fmt::Debug,
{
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
    allocate(store, &demand).unwrap();
}

/// Addresses of this boot and of one before, one without an interface, and the last ones of two
/// sets.
fn directory() -> Directory {
    let directory = Directory(tempfile::tempdir().unwrap());
    add(directory.disk().lock(TIMEOUT, boot(1)).unwrap(), "c1");
    add(directory.disk().lock(TIMEOUT, boot(2)).unwrap(), "c2");
    fs::write(directory.path().join("net/10.1.0.77"), "old").unwrap();
    directory
}

#[test]
fn there_and_back_loses_nothing() {
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
    let db = directory.db();
    let mut store = db.begin(TIMEOUT, boot(2)).unwrap().network(&name());
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
fn it_can_be_repeated_and_refuses_conflicts() {
    let directory = directory();
    let before = directory.in_disk();
    // As a kill between the two commits leaves it: everything in both.
    assert_eq!(directory.to_db(), Ok(5));
    let (disk, database) = (directory.disk(), directory.db());
    let mut store = disk.lock(TIMEOUT, boot(2)).unwrap();
    let mut db = database.begin(TIMEOUT, boot(2)).unwrap().network(&name());
    for held in db.all().unwrap() {
        let holding = db.holding(held.address).unwrap().unwrap();
        assert!(store.adopt(held.address, &holding).unwrap());
    }
    drop(db);
    store.commit().unwrap();
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
fn many_addresses_are_found_afterwards() {
    let directory = Directory(tempfile::tempdir().unwrap());
    for number in 2..2502 {
        let [high, low] = u16::to_be_bytes(number);
        let file = directory.path().join(format!("net/10.1.{high}.{low}"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, format!("c{number}\r\neth0")).unwrap();
    }
    assert_eq!(directory.to_db(), Ok(2500));
    assert_eq!(directory.to_disk(), Ok(2500));
    let disk = directory.disk();
    let mut store = disk.lock(TIMEOUT, boot(2)).unwrap();
    for number in [2u16, 1000, 2501] {
        let attachment = Attachment {
            container_id: format!("c{number}").parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        };
        assert_eq!(store.held_by(&attachment).unwrap().len(), 1);
    }
}
