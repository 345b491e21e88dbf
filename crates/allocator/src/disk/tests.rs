//! Tests of the store of address files.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::model;
use crate::range::tests::{ip, spec};
use crate::{Demand, Range, RangeSet, RangeSets, Reclaim, allocate};

const TIMEOUT: Duration = Duration::from_secs(10);
const BOOT: &str = "5a2e9ee8-5b0c-4a34-b5c4-000000000001";
const NEXT_BOOT: &str = "5a2e9ee8-5b0c-4a34-b5c4-000000000002";

struct Network {
    temp: TempDir,
    dir: NetworkDir,
}

impl Network {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = NetworkDir::create(&temp.path().join("networks"), &name()).unwrap();
        Self { temp, dir }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.temp.path().join("networks/net").join(file)
    }

    fn files(&self) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(self.path(""))
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let contents = fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), contents)
            })
            .collect();
        files.sort();
        files
    }

    fn lock(&self) -> Box<DiskStore<'_>> {
        self.lock_in(BOOT)
    }

    fn lock_in(&self, boot: &str) -> Box<DiskStore<'_>> {
        Box::new(self.dir.lock(TIMEOUT, BootId::parse(boot)).unwrap())
    }

    /// ADD of a container, on eth0.
    fn add(&self, subnets: &[&str], container_id: &str) -> Result<Vec<String>, String> {
        add(self.lock(), subnets, container_id)
    }

    fn held_by(&self, container_id: &str) -> Vec<IpAddr> {
        let held = self.lock().held_by(&attachment(container_id, "eth0"));
        held.unwrap().into_iter().map(|held| held.address).collect()
    }
}

fn name() -> NetworkName {
    "net".parse().unwrap()
}

fn attachment(container_id: &str, ifname: &str) -> Attachment {
    Attachment {
        container_id: container_id.parse().unwrap(),
        ifname: ifname.parse().unwrap(),
    }
}

fn sets(subnets: &[&str]) -> RangeSets {
    let set = |subnet: &&str| RangeSet::new(vec![Range::new(spec(subnet)).unwrap()]).unwrap();
    RangeSets::new(subnets.iter().map(set).collect()).unwrap()
}

fn add(
    mut store: Box<DiskStore<'_>>,
    subnets: &[&str],
    container_id: &str,
) -> Result<Vec<String>, String> {
    let demand = Demand {
        attachment: &attachment(container_id, "eth0"),
        sets: &sets(subnets),
        requested: &[],
        reclaim: Reclaim::AfterReboot,
    };
    let given = allocate(&mut *store, &demand).map_err(|error| error.to_string())?;
    store.commit().map_err(|error| error.to_string())?;
    Ok(given.iter().map(|a| a.address.ip().to_string()).collect())
}

#[test]
fn the_go_plugins_format() {
    let network = Network::new();
    network
        .add(&["10.1.1.0/24", "fd00:0:0::/64"], "c1")
        .unwrap();
    let expected = [
        ("10.1.1.2", "c1\r\neth0"),
        ("fd00::2", "c1\r\neth0"),
        ("last_reserved_ip.0", "10.1.1.2"),
        ("last_reserved_ip.1", "fd00::2"),
        ("lock", ""),
    ];
    let expected = expected.map(|(name, contents)| (name.to_owned(), contents.to_owned()));
    assert_eq!(network.files(), expected);
    for (file, _) in network.files() {
        assert_eq!(
            fs::metadata(network.path(&file)).unwrap().mode() & 0o777,
            0o600
        );
    }
    assert_eq!(
        fs::metadata(network.path("")).unwrap().mode() & 0o777,
        0o755
    );
}

#[test]
fn open_creates_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let data_dir = temp.path().join("networks");
    assert!(NetworkDir::open(&data_dir, &name()).unwrap().is_none());
    fs::create_dir(&data_dir).unwrap();
    assert!(NetworkDir::open(&data_dir, &name()).unwrap().is_none());
    assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 0);
}

#[test]
fn files_without_an_interface_are_found_by_the_container() {
    let network = Network::new();
    fs::write(network.path("10.1.1.2"), "c1").unwrap();
    fs::write(network.path("10.1.1.3"), "c1\r\neth1").unwrap();
    assert_eq!(network.held_by("c1"), [ip("10.1.1.2")]);
    let eth1 = network.lock().held_by(&attachment("c1", "eth1")).unwrap();
    assert_eq!(eth1.len(), 1);
    assert_eq!(eth1[0].address, ip("10.1.1.3"));
    assert_eq!(network.held_by("c2"), [] as [IpAddr; 0]);
}

#[test]
fn debris_blocks_no_address() {
    let network = Network::new();
    fs::write(network.path("10.1.1.2"), "").unwrap();
    fs::write(network.path("10.1.1.3"), "\0\0\0").unwrap();
    fs::write(network.path("last_reserved_ip.0"), "").unwrap();
    for (container, address) in [("c1", "10.1.1.2"), ("c2", "10.1.1.3"), ("c3", "10.1.1.4")] {
        assert_eq!(network.add(&["10.1.1.0/24"], container).unwrap(), [address]);
    }
    assert_eq!(
        fs::read_to_string(network.path("10.1.1.2")).unwrap(),
        "c1\r\neth0"
    );
}

#[test]
fn links_directories_and_foreign_files_are_left_alone() {
    let network = Network::new();
    let outside = network.temp.path().join("outside");
    fs::write(&outside, "c1\r\neth0").unwrap();
    symlink(&outside, network.path("10.1.1.2")).unwrap();
    fs::create_dir(network.path("10.1.1.3")).unwrap();
    fs::write(network.path("10.1.1.4"), "reserved for the printer\n").unwrap();
    fs::write(network.path("note"), "c1\r\neth0").unwrap();
    symlink(&outside, network.path("last_reserved_ip.0")).unwrap();
    assert_eq!(network.held_by("c1"), [] as [IpAddr; 0]);
    assert_eq!(network.add(&["10.1.1.0/24"], "c1").unwrap(), ["10.1.1.5"]);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "c1\r\neth0");
}

#[test]
fn a_network_directory_may_be_a_link_to_one() {
    let temp = tempfile::tempdir().unwrap();
    let elsewhere = temp.path().join("elsewhere");
    symlink(&elsewhere, temp.path().join("net")).unwrap();
    // It leads to nothing yet.
    assert!(NetworkDir::open(temp.path(), &name()).unwrap().is_none());
    assert_eq!(
        NetworkDir::create(temp.path(), &name())
            .unwrap_err()
            .to_string(),
        format!(
            "cannot open {}: No such file or directory (os error 2)",
            temp.path().join("net").display()
        )
    );
    fs::create_dir(&elsewhere).unwrap();
    let dir = NetworkDir::create(temp.path(), &name()).unwrap();
    let store = Box::new(dir.lock(TIMEOUT, BootId::parse(BOOT)).unwrap());
    assert_eq!(add(store, &["10.1.1.0/24"], "c1").unwrap(), ["10.1.1.2"]);
    assert_eq!(
        fs::read_to_string(elsewhere.join("10.1.1.2")).unwrap(),
        "c1\r\neth0"
    );
    // Not to a file.
    fs::remove_file(temp.path().join("net")).unwrap();
    symlink(elsewhere.join("10.1.1.2"), temp.path().join("net")).unwrap();
    assert_eq!(
        NetworkDir::open(temp.path(), &name())
            .unwrap_err()
            .to_string(),
        format!(
            "{} is not a directory: remove it if nobody needs it",
            temp.path().join("net").display()
        )
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn the_disk_store_is_like_the_model(actions in model::actions()) {
        let network = Network::new();
        model::run(|| network.lock(), &actions);
    }
}

/// Whether the next operation finds the index current, and need not read every file.
fn index_is_current(network: &Network) -> bool {
    let boot = BootId::parse(BOOT).map(BootTag::of);
    index(network)
        .is_some_and(|index| index.is_current(network.dir.addresses.stamp().unwrap(), boot))
}

fn index(network: &Network) -> Option<index::Index> {
    let indexes = network.dir.indexes().unwrap().unwrap();
    match index::Index::open(&indexes, "net") {
        index::Opened::Index(index) => Some(index),
        index::Opened::Nothing => None,
        index::Opened::Unread(error) => panic!("{error}"),
    }
}

#[test]
fn the_index_stays_current() {
    let network = Network::new();
    let subnets = ["10.1.1.0/29", "fd00::/64"];
    for step in 0..7 {
        // The last two find no room, and take back what they have taken.
        assert_eq!(network.add(&subnets, &format!("c{step}")).is_ok(), step < 5);
        assert!(index_is_current(&network), "ADD {step}");
    }
    let mut store = network.lock();
    for held in store.held_by(&attachment("c1", "eth0")).unwrap() {
        store.release(held.address).unwrap();
    }
    store.commit().unwrap();
    assert!(index_is_current(&network), "DEL");
    assert_eq!(network.held_by("c1"), [] as [IpAddr; 0]);
    assert!(index_is_current(&network), "a look");
    assert_eq!(network.held_by("c2"), [ip("10.1.1.4"), ip("fd00::4")]);
}

#[test]
fn changes_by_other_programs_are_noticed() {
    let network = Network::new();
    network.add(&["10.1.1.0/24"], "c1").unwrap();
    // Another plugin adds one,
    fs::write(network.path("10.1.1.9"), "c9\r\neth0").unwrap();
    assert!(!index_is_current(&network));
    assert_eq!(network.held_by("c9"), [ip("10.1.1.9")]);
    assert!(index_is_current(&network));
    // removes one,
    fs::remove_file(network.path("10.1.1.2")).unwrap();
    assert_eq!(network.held_by("c1"), [] as [IpAddr; 0]);
    // and writes into one, which the directory does not show.
    fs::write(network.path("10.1.1.9"), "c8\r\neth0").unwrap();
    assert_eq!(network.held_by("c9"), [] as [IpAddr; 0]);
    assert_eq!(network.held_by("c8"), [ip("10.1.1.9")]);
    for file in ["10.1.1.9", "last_reserved_ip.0", "lock"] {
        fs::remove_file(network.path(file)).unwrap();
    }
    assert_eq!(network.held_by("c8"), [] as [IpAddr; 0]);
    assert_eq!(network.add(&["10.1.1.0/24"], "c1").unwrap(), ["10.1.1.2"]);
}

#[test]
fn a_damaged_or_stale_index_is_rebuilt() {
    let network = Network::new();
    let path = network.temp.path().join("networks/.index/net");
    network.add(&["10.1.1.0/24"], "c1").unwrap();
    let old = fs::read(&path).unwrap();
    network.add(&["10.1.1.0/24"], "c2").unwrap();
    let outside = network.temp.path().join("outside");
    fs::write(&outside, "secret").unwrap();
    let damages: [&dyn Fn(); 6] = [
        &|| fs::remove_file(&path).unwrap(),
        &|| fs::write(&path, "").unwrap(),
        &|| fs::write(&path, &old).unwrap(),
        &|| fs::write(&path, vec![0xff; old.len()]).unwrap(),
        &|| {
            // The bucket of every attachment.
            let mut contents = fs::read(&path).unwrap();
            contents[4096..].fill(0);
            fs::write(&path, contents).unwrap();
        },
        &|| {
            fs::remove_file(&path).unwrap();
            symlink(&outside, &path).unwrap();
        },
    ];
    for (number, damage) in damages.iter().enumerate() {
        damage();
        assert_eq!(network.held_by("c2"), [ip("10.1.1.3")], "damage {number}");
        assert_eq!(network.held_by("c1"), [ip("10.1.1.2")], "damage {number}");
        assert!(index_is_current(&network), "damage {number}");
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "secret");
}

#[test]
fn without_an_index_everything_works() {
    let network = Network::new();
    let directory = network.temp.path().join("networks/.index");
    fs::write(&directory, "in its place").unwrap();
    let dir = NetworkDir::create(&network.temp.path().join("networks"), &name()).unwrap();
    assert!(dir.indexes().unwrap().is_none());
    let network = Network { dir, ..network };
    assert_eq!(network.add(&["10.1.1.0/24"], "c1").unwrap(), ["10.1.1.2"]);
    assert_eq!(network.held_by("c1"), [ip("10.1.1.2")]);
    let mut store = network.lock();
    store.release(ip("10.1.1.2")).unwrap();
    assert_eq!(store.held_by(&attachment("c1", "eth0")).unwrap(), []);
}

#[test]
fn the_index_grows() {
    let network = Network::new();
    for number in 0..3000 {
        network
            .add(&["10.1.0.0/16"], &format!("c{number}"))
            .unwrap();
    }
    assert!(index_is_current(&network));
    for number in [0, 1, 1234, 2999] {
        assert_eq!(network.held_by(&format!("c{number}")).len(), 1);
    }
    assert_eq!(network.lock().all().unwrap().len(), 3000);
}

/// A full disk, as far as indexes go: nothing can be written aside in their directory.
#[test]
fn an_index_that_cannot_grow_costs_no_address() {
    let network = Network::new();
    network.add(&["10.1.0.0/16"], "c0").unwrap();
    fs::create_dir(network.temp.path().join("networks/.index/.new")).unwrap();
    let index = network.temp.path().join("networks/.index/net");
    let mut given = Vec::new();
    let mut left = 3;
    while left > 0 {
        let id = format!("c{}", given.len() + 1);
        given.extend(network.add(&["10.1.0.0/16"], &id).unwrap());
        // From here on each operation reads every file.
        if !index.exists() {
            left -= 1;
        }
    }
    assert!(given.len() > 1700);
    for address in &given {
        assert!(network.path(address).exists(), "{address}");
    }
    for number in [1, 1234, given.len()] {
        assert_eq!(network.held_by(&format!("c{number}")).len(), 1);
    }
}

/// As many range sets as there can be: more addresses than a bucket of the index has room for.
#[test]
fn an_owner_of_many_addresses() {
    let network = Network::new();
    let subnets: Vec<String> = (0..128).map(|set| format!("10.1.{set}.0/24")).collect();
    let subnets: Vec<&str> = subnets.iter().map(String::as_str).collect();
    let given = ["c1", "c2", "c3"].map(|id| network.add(&subnets, id).unwrap());
    assert!(index_is_current(&network));
    let mut store = network.lock();
    let held = store.held_by(&attachment("c1", "eth0")).unwrap();
    assert_eq!(held.len(), 128);
    for held in held {
        store.release(held.address).unwrap();
    }
    store.commit().unwrap();
    assert!(index_is_current(&network));
    assert_eq!(network.held_by("c1"), [] as [IpAddr; 0]);
    for (id, given) in [("c2", &given[1]), ("c3", &given[2])] {
        let mut held: Vec<String> = network.held_by(id).iter().map(IpAddr::to_string).collect();
        let mut given = given.clone();
        held.sort();
        given.sort();
        assert_eq!(held, given);
        assert!(given.iter().all(|address| network.path(address).exists()));
    }
}

#[test]
fn an_address_from_before_a_reboot_is_given_again() {
    let network = Network::new();
    let subnets = ["10.1.1.0/30"];
    network.add(&subnets, "c1").unwrap();
    assert!(network.add(&subnets, "c2").is_err());
    let ages = |boot: &str| -> Vec<Age> {
        let all = network.lock_in(boot).all().unwrap();
        all.into_iter().map(|held| held.age).collect()
    };
    assert_eq!(ages(NEXT_BOOT), [Age::EarlierBoot]);
    assert_eq!(
        add(network.lock_in(NEXT_BOOT), &subnets, "c2").unwrap(),
        ["10.1.1.2"]
    );
    assert!(add(network.lock_in(NEXT_BOOT), &subnets, "c3").is_err());
    assert_eq!(ages(NEXT_BOOT), [Age::ThisBoot]);
}

#[test]
fn an_address_of_unknown_age_is_old_after_the_next_reboot() {
    let network = Network::new();
    fs::write(network.path("10.1.1.2"), "c1\r\neth0").unwrap();
    let age = |boot: &str| network.lock_in(boot).all().unwrap()[0].age;
    assert_eq!(age(BOOT), Age::ThisBoot);
    assert_eq!(age(NEXT_BOOT), Age::EarlierBoot);
    // The index can be lost meanwhile.
    fs::remove_dir_all(network.temp.path().join("networks/.index")).unwrap();
    assert_eq!(age(NEXT_BOOT), Age::EarlierBoot);
    assert_eq!(age(BOOT), Age::ThisBoot);
}

#[test]
fn a_dropped_transaction_gives_nothing() {
    let network = Network::new();
    network.add(&["10.1.1.0/24"], "c1").unwrap();
    let mut store = network.lock();
    let set = RangeSet::new(vec![Range::new(spec("10.1.1.0/24")).unwrap()]).unwrap();
    let key = SetKey {
        index: 0,
        set: &set,
    };
    let c2 = attachment("c2", "eth0");
    assert!(store.reserve(ip("10.1.1.7"), &c2, key).unwrap());
    assert!(network.path("10.1.1.7").exists());
    drop(store);
    assert!(!network.path("10.1.1.7").exists());
    assert!(index_is_current(&network));
    assert_eq!(network.held_by("c2"), [] as [IpAddr; 0]);
}

#[test]
fn the_next_transaction_rolls_back_a_killed_one() {
    let network = Network::new();
    network.add(&["10.1.1.0/24"], "c1").unwrap();
    let set = RangeSet::new(vec![Range::new(spec("10.1.1.0/24")).unwrap()]).unwrap();
    let key = SetKey {
        index: 0,
        set: &set,
    };
    let c2 = attachment("c2", "eth0");
    let mut store = network.lock();
    assert!(store.reserve(ip("10.1.1.7"), &c2, key).unwrap());
    // As a kill leaves it: nothing is taken back, nothing is declared current, only the lock is
    // gone.
    store.given.clear();
    let journal = index(&network).unwrap().journal().clone();
    assert_eq!(journal.addresses, [ip("10.1.1.7")]);
    let index = fs::read(network.temp.path().join("networks/.index/net")).unwrap();
    drop(store);
    fs::write(network.temp.path().join("networks/.index/net"), index).unwrap();
    // Meanwhile another plugin took one for the same attachment, which is not ours to undo.
    fs::write(network.path("10.1.1.8"), "c2\r\neth0").unwrap();

    assert_eq!(network.held_by("c1"), [ip("10.1.1.2")]);
    assert!(!network.path("10.1.1.7").exists());
    assert_eq!(network.held_by("c2"), [ip("10.1.1.8")]);
}
