//! Tests of the database.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::SystemTime;

use cni_types::Attachment;
use state::StateError;
use tempfile::TempDir;

use super::*;
use crate::range::tests::{ip, spec};
use crate::{
    Age, Demand, Owner, Range, RangeSet, RangeSets, Reclaim, Store, StoreError, allocate, model,
};

mod container;
mod crash;
mod damage;
mod lock;
mod portable;
mod replaced;

const TIMEOUT: Duration = Duration::from_secs(60);
const BOOT: &str = "5a2e9ee8-5b0c-4a34-b5c4-000000000001";
const NEXT_BOOT: &str = "5a2e9ee8-5b0c-4a34-b5c4-000000000002";

/// A directory with a database.
struct Directory {
    temp: TempDir,
}

impl Directory {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        Self { temp }
    }

    fn path(&self) -> PathBuf {
        self.temp.path().join("networks")
    }

    fn file(&self) -> PathBuf {
        self.path().join(FILE)
    }

    fn database(&self) -> Database {
        Database::create(&self.path()).unwrap()
    }

    fn add(&self, network: &str, subnets: &[&str], id: &str) -> Result<Vec<String>, String> {
        let database = self.database();
        let transaction = begin(&database).map_err(|error| error.to_string())?;
        add(transaction.network(&name(network)), subnets, id)
    }

    fn held_by(&self, network: &str, id: &str) -> Result<Vec<IpAddr>, String> {
        let database = self.database();
        let transaction = begin(&database).map_err(|error| error.to_string())?;
        let mut store = transaction.network(&name(network));
        let held = store.held_by(&attachment(id));
        let held = held.map_err(|error| error.to_string())?;
        Ok(held.into_iter().map(|held| held.address).collect())
    }
}

fn begin(database: &Database) -> Result<Transaction<'_>, StoreError> {
    database.begin(TIMEOUT, BootId::parse(BOOT))
}

fn name(text: &str) -> NetworkName {
    text.parse().unwrap()
}

fn attachment(container_id: &str) -> Attachment {
    Attachment {
        container_id: container_id.parse().unwrap(),
        ifname: "eth0".parse().unwrap(),
    }
}

fn sets(subnets: &[&str]) -> RangeSets {
    let set = |subnet: &&str| RangeSet::new(vec![Range::new(spec(subnet)).unwrap()]).unwrap();
    RangeSets::new(subnets.iter().map(set).collect()).unwrap()
}

fn add(mut store: DbStore<'_>, subnets: &[&str], id: &str) -> Result<Vec<String>, String> {
    let demand = Demand {
        attachment: &attachment(id),
        sets: &sets(subnets),
        requested: &[],
        reclaim: Reclaim::AfterReboot,
    };
    let given = allocate(&mut store, &demand).map_err(|error| error.to_string())?;
    commit(store).map_err(|error| error.to_string())?;
    Ok(given.iter().map(|a| a.address.ip().to_string()).collect())
}

fn del(store: DbStore<'_>, id: &str) -> Result<(), StoreError> {
    let mut store = store;
    for held in store.held_by(&attachment(id))? {
        store.release(held.address)?;
    }
    commit(store)
}

fn commit(store: DbStore<'_>) -> Result<(), StoreError> {
    Box::new(store).commit()
}

/// Who holds what: network, address and owner's text. Both tables have to say the same.
fn audit(database: &Database) -> Vec<(NetworkName, IpAddr, String)> {
    let transaction = begin(database).unwrap();
    let mut by_address = transaction
        .scan(ADDRESSES, b"", |key, value| {
            let end = key.iter().position(|byte| *byte == 0)?;
            let network = std::str::from_utf8(&key[..end]).ok()?;
            let address = keys::read_address(&key[end + 1..])?;
            let (owner, _) = keys::read_lease(value, transaction.boot)?;
            Some((name(network), address, owner.to_string()))
        })
        .unwrap();
    let by_owner = transaction
        .scan(OWNERS, b"", |key, value| {
            let end = key.iter().position(|byte| *byte == 0)?;
            let container_id = std::str::from_utf8(&key[..end]).ok()?.parse().ok()?;
            let (ifname, network) = keys::read_interface(&key[end + 1..])?;
            let owner = Owner {
                container_id,
                ifname,
            };
            let held = keys::read_addresses(value)?.into_iter();
            let held = held.map(|address| (network.clone(), address, owner.to_string()));
            Some(held.collect::<Vec<_>>())
        })
        .unwrap();
    let mut by_owner: Vec<_> = by_owner.into_iter().flatten().collect();
    by_address.sort();
    by_owner.sort();
    assert_eq!(by_address, by_owner);
    by_address
}

#[test]
fn one_file_for_all_networks() {
    let directory = Directory::new();
    let dual = ["10.1.1.0/24", "fd00::/64"];
    assert_eq!(
        directory.add("net", &dual, "c1").unwrap(),
        ["10.1.1.2", "fd00::2"]
    );
    assert_eq!(
        directory.add("net", &dual, "c2").unwrap(),
        ["10.1.1.3", "fd00::3"]
    );
    // Another network has addresses and a turn of its own, with the same subnet too.
    assert_eq!(
        directory.add("net.1", &dual[..1], "c1").unwrap(),
        ["10.1.1.2"]
    );
    let mut files: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name(), entry.metadata().unwrap().mode() & 0o777))
        .collect();
    files.sort();
    assert_eq!(files, [(FILE.into(), 0o600), (LOCK.into(), 0o600)]);
    assert_eq!(audit(&directory.database()).len(), 5);

    let database = directory.database();
    del(begin(&database).unwrap().network(&name("net")), "c1").unwrap();
    assert_eq!(directory.held_by("net", "c1").unwrap(), [] as [IpAddr; 0]);
    assert_eq!(directory.held_by("net.1", "c1").unwrap(), [ip("10.1.1.2")]);
    assert_eq!(audit(&database).len(), 3);
}

#[test]
fn reading_creates_and_writes_nothing() {
    let directory = Directory::new();
    assert!(Database::open(&directory.path()).unwrap().is_none());
    fs::create_dir(directory.path()).unwrap();
    assert!(Database::open(&directory.path()).unwrap().is_none());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

    directory.add("net", &["10.1.1.0/24"], "c1").unwrap();
    let before = fs::read(directory.file()).unwrap();
    let file = File::options().write(true).open(directory.file()).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let database = Database::open(&directory.path()).unwrap().unwrap();
    assert_eq!(directory.held_by("net", "c1").unwrap(), [ip("10.1.1.2")]);
    del(begin(&database).unwrap().network(&name("net")), "c2").unwrap();
    audit(&database);
    assert!(fs::read(directory.file()).unwrap() == before);
    let modified = file.metadata().unwrap().modified().unwrap();
    assert_eq!(modified, SystemTime::UNIX_EPOCH);
}

#[test]
fn a_transaction_on_several_networks_is_atomic() {
    let directory = Directory::new();
    let database = directory.database();
    let sets = sets(&["10.1.1.0/24"]);
    let demand = Demand {
        attachment: &attachment("c1"),
        sets: &sets,
        requested: &[],
        reclaim: Reclaim::AfterReboot,
    };
    for commit in [false, true] {
        let mut transaction = begin(&database).unwrap();
        for network in ["a", "b"] {
            let mut store = transaction.network(&name(network));
            allocate(&mut store, &demand).unwrap();
            transaction = store.into_transaction();
        }
        if commit {
            transaction.commit().unwrap();
        } else {
            drop(transaction);
        }
        assert_eq!(audit(&database).len(), if commit { 2 } else { 0 });
    }
}

#[test]
fn release_keeps_the_other_addresses() {
    let directory = Directory::new();
    directory
        .add("net", &["10.1.1.0/24", "fd00::/64"], "c1")
        .unwrap();
    let database = directory.database();
    let mut store = begin(&database).unwrap().network(&name("net"));
    store.release(ip("10.1.1.2")).unwrap();
    store.release(ip("10.1.1.99")).unwrap();
    commit(store).unwrap();
    assert_eq!(directory.held_by("net", "c1").unwrap(), [ip("fd00::2")]);
    let owner = "c1\r\neth0".to_owned();
    assert_eq!(audit(&database), [(name("net"), ip("fd00::2"), owner)]);
}

#[test]
fn the_age_of_an_address_depends_on_the_boot() {
    let directory = Directory::new();
    directory.add("net", &["10.1.1.0/24"], "c1").unwrap();
    let database = directory.database();
    for (boot, age) in [
        (Some(BOOT), Age::ThisBoot),
        (Some(NEXT_BOOT), Age::EarlierBoot),
        (None, Age::ThisBoot),
    ] {
        let boot = boot.and_then(BootId::parse);
        let transaction = database.begin(TIMEOUT, boot).unwrap();
        let mut store = transaction.network(&name("net"));
        assert_eq!(store.lease(ip("10.1.1.2")).unwrap().unwrap().age, age);
        assert_eq!(store.held_by(&attachment("c1")).unwrap()[0].age, age);
        assert_eq!(store.all().unwrap()[0].age, age);
    }
}

#[test]
fn others_wait_and_the_error_names_the_holder() {
    let directory = Directory::new();
    let database = directory.database();
    let transaction = begin(&database).unwrap();
    let waiting = database.begin(Duration::from_millis(20), None);
    let error = waiting.map(drop).unwrap_err();
    assert!(matches!(
        &error,
        StoreError::State(StateError::Locked { .. })
    ));
    assert_eq!(
        error.to_string(),
        format!(
            "{} is locked by process {} for more than 0.02 s: wait for it or end it",
            directory.path().join(LOCK).display(),
            std::process::id()
        )
    );
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| directory.add("net", &["10.1.1.0/24"], "c1"));
        std::thread::sleep(Duration::from_millis(50));
        drop(transaction);
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn symbolic_links_are_not_followed() {
    for planted in [FILE, LOCK, ASIDE] {
        let directory = Directory::new();
        let outside = directory.temp.path().join("outside");
        fs::write(&outside, "secret").unwrap();
        fs::create_dir(directory.path()).unwrap();
        symlink(&outside, directory.path().join(planted)).unwrap();
        let added = directory.add("net", &["10.1.1.0/24"], "c1");
        // What is left of the making of a database is nobody's.
        assert_eq!(added.is_ok(), planted == ASIDE, "{added:?}");
        if let Err(message) = added {
            assert_eq!(
                message,
                format!(
                    "{} is no regular file: remove it if nobody needs it",
                    directory.path().join(planted).display()
                )
            );
        }
        assert_eq!(fs::read(&outside).unwrap(), b"secret");
    }
}

#[test]
fn the_file_does_not_grow_with_repeated_adds_and_dels() {
    let directory = Directory::new();
    let database = directory.database();
    let mut sizes = Vec::new();
    for round in 0..60 {
        directory.add("net", &["10.1.1.0/24"], "c1").unwrap();
        del(begin(&database).unwrap().network(&name("net")), "c1").unwrap();
        if round >= 10 {
            sizes.push(fs::metadata(directory.file()).unwrap().len());
        }
    }
    assert!(sizes.iter().all(|size| *size <= 1 << 20), "{sizes:?}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(16))]
    #[test]
    fn the_database_is_like_the_model(actions in model::actions()) {
        let directory = Directory::new();
        let database = directory.database();
        let network = name("net");
        let store = || Box::new(begin(&database).unwrap().network(&network));
        model::run(store, &actions);
        audit(&database);
    }
}
