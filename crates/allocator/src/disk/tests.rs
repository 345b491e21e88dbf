use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::model;
use crate::range::tests::{ip, spec};
use crate::{Range, RangeSet, RangeSets, allocate};

const PATIENCE: Duration = Duration::from_secs(10);

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

    fn lock(&self) -> DiskStore<'_> {
        self.dir.lock(PATIENCE).unwrap()
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

#[test]
fn the_go_plugins_format() {
    let network = Network::new();
    let given = allocate(
        &mut network.lock(),
        &sets(&["10.1.1.0/24", "fd00:0:0::/64"]),
        &attachment("c1", "eth0"),
        &[],
    );
    assert_eq!(given.unwrap().len(), 2);
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
fn a_network_that_gave_nothing_is_not_made_by_looking() {
    let temp = tempfile::tempdir().unwrap();
    let data_dir = temp.path().join("networks");
    assert!(NetworkDir::open(&data_dir, &name()).unwrap().is_none());
    fs::create_dir(&data_dir).unwrap();
    assert!(NetworkDir::open(&data_dir, &name()).unwrap().is_none());
    assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 0);
}

#[test]
fn files_of_older_versions_are_found_by_the_container() {
    let network = Network::new();
    fs::write(network.path("10.1.1.2"), "c1").unwrap();
    fs::write(network.path("10.1.1.3"), "c1\r\neth1").unwrap();
    let mut store = network.lock();
    assert_eq!(
        store.held_by(&attachment("c1", "eth0")).unwrap(),
        [ip("10.1.1.2")]
    );
    assert_eq!(
        store.held_by(&attachment("c1", "eth1")).unwrap(),
        [ip("10.1.1.3")]
    );
    assert_eq!(
        store.held_by(&attachment("c2", "eth0")).unwrap(),
        [] as [IpAddr; 0]
    );
}

#[test]
fn debris_blocks_no_address() {
    let network = Network::new();
    fs::write(network.path("10.1.1.2"), "").unwrap();
    fs::write(network.path("10.1.1.3"), "\0\0\0").unwrap();
    fs::write(network.path("last_reserved_ip.0"), "").unwrap();
    let mut store = network.lock();
    for (container, address) in [("c1", "10.1.1.2"), ("c2", "10.1.1.3"), ("c3", "10.1.1.4")] {
        let given = allocate(
            &mut store,
            &sets(&["10.1.1.0/24"]),
            &attachment(container, "eth0"),
            &[],
        );
        assert_eq!(given.unwrap()[0].address.ip(), ip(address));
    }
    drop(store);
    assert_eq!(
        fs::read_to_string(network.path("10.1.1.2")).unwrap(),
        "c1\r\neth0"
    );
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let network = Network::new();
    let outside = network.temp.path().join("outside");
    fs::write(&outside, "c1\r\neth0").unwrap();
    symlink(&outside, network.path("10.1.1.2")).unwrap();
    fs::create_dir(network.path("10.1.1.3")).unwrap();
    fs::write(network.path("note"), "c1\r\neth0").unwrap();
    let mut store = network.lock();
    assert_eq!(
        store.held_by(&attachment("c1", "eth0")).unwrap(),
        [] as [IpAddr; 0]
    );
    let given = allocate(
        &mut store,
        &sets(&["10.1.1.0/24"]),
        &attachment("c1", "eth0"),
        &[],
    );
    assert_eq!(given.unwrap()[0].address.ip(), ip("10.1.1.4"));
    assert_eq!(fs::read_to_string(&outside).unwrap(), "c1\r\neth0");
}

#[test]
fn a_network_folder_that_is_a_link_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir(temp.path().join("elsewhere")).unwrap();
    symlink(temp.path().join("elsewhere"), temp.path().join("net")).unwrap();
    let message = format!(
        "{} is no folder: remove it if nobody needs it",
        temp.path().join("net").display()
    );
    let refused = |result: Result<(), StateError>| result.unwrap_err().to_string();
    assert_eq!(
        refused(NetworkDir::create(temp.path(), &name()).map(drop)),
        message
    );
    assert_eq!(
        refused(NetworkDir::open(temp.path(), &name()).map(drop)),
        message
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn the_disk_store_is_like_the_model(steps in model::steps()) {
        let network = Network::new();
        model::run(&mut network.lock(), &steps);
    }
}
