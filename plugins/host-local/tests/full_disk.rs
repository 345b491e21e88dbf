//! The database on a full disk. DEL must work there, because deleting containers is how room
//! becomes free.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helper functions fail by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Invocation, Node, Outcome, binaries, requirements};

/// A `dataDir` that is a file system of its own.
struct Disk {
    temp: TempDir,
    node: Node,
    /// The number of addresses per container.
    sets: usize,
}

impl Disk {
    fn new(size: &str, sets: usize) -> Option<Self> {
        if !requirements::require_root() {
            return None;
        }
        let disk = Self {
            temp: tempfile::tempdir().unwrap(),
            node: Node::new().unwrap(),
            sets,
        };
        fs::create_dir(disk.data_dir()).unwrap();
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        Some(disk)
    }

    fn data_dir(&self) -> PathBuf {
        self.temp.path().join("data")
    }

    #[track_caller]
    fn mount(&self, args: &[&str]) {
        let data_dir = self.data_dir();
        let mounted = self.node.enter(|| {
            let mut mount = Command::new("mount");
            mount.args(args).arg(&data_dir).output().unwrap()
        });
        assert!(mounted.status.success(), "{mounted:?}");
    }

    fn enlarge(&self) {
        self.mount(&["-o", "remount,size=32m"]);
    }

    fn ballast(&self) -> PathBuf {
        self.data_dir().join("ballast")
    }

    fn fill(&self) {
        let ballast = self.ballast();
        self.node.enter(|| {
            let mut file = fs::File::create(ballast).unwrap();
            while file.write_all(&[0; 4096]).is_ok() {}
        });
    }

    /// The files, without the ballast that fills the disk.
    fn files(&self) -> Vec<String> {
        let mut files = self.node.list(self.data_dir());
        files.retain(|name| name != "ballast");
        files.sort();
        files
    }

    fn call(&self, command: &str, container: &str) -> Outcome {
        let set = |index: usize| json!([{ "subnet": format!("10.{}.0.0/16", index + 1) }]);
        let ranges: Vec<Value> = (0..self.sets).map(set).collect();
        let conf = json!({
            "cniVersion": "1.1.0",
            "name": "net",
            "cni.dev/valid-attachments": [],
            "ipam": { "backend": "db", "ranges": ranges, "dataDir": self.data_dir() },
        });
        let plugin = binaries::plugin("host-local");
        self.node
            .run(&Invocation::attach(plugin, command, container).config(&conf))
    }

    #[track_caller]
    fn add(&self, container: &str) -> Vec<String> {
        addresses(&self.call("ADD", container).success())
    }

    #[track_caller]
    fn assert_full(&self, command: &str, container: &str, code: u64, path: &str) {
        let failure = self.call(command, container).failure();
        assert_eq!(failure.code, code, "{failure:?}");
        let path = self.data_dir().join(path);
        for words in [&*path.to_string_lossy(), "No space left on device"] {
            assert!(failure.msg.contains(words), "{words}: {failure:?}");
        }
    }
}

fn addresses(result: &Value) -> Vec<String> {
    let ips = result["ips"].as_array().unwrap().iter();
    ips.map(|ip| ip["address"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn add_and_del_work_in_the_room_of_the_file() {
    let Some(disk) = Disk::new("3m", 1) else {
        return;
    };
    let mut given = BTreeSet::new();
    for id in 0..10 {
        given.extend(disk.add(&format!("c{id}")));
    }
    disk.fill();
    for id in 0..5 {
        disk.call("DEL", &format!("c{id}")).silent();
        disk.call("CHECK", "c7").silent();
    }
    assert_eq!(disk.call("CHECK", "c3").failure().code, 120);
    for id in 10..60 {
        given.extend(disk.add(&format!("c{id}")));
    }
    assert_eq!(given.len(), 60);
    disk.call("GC", "").silent();
    assert_eq!(disk.call("CHECK", "c59").failure().code, 120);
}

/// A failed ADD leaves neither an address nor a file.
#[test]
fn a_database_that_does_not_fit_is_not_created() {
    let Some(disk) = Disk::new("512k", 1) else {
        return;
    };
    for _ in 0..2 {
        disk.assert_full("ADD", "c1", 5, ".addresses.db");
        assert_eq!(disk.files(), [".addresses.lock"]);
        disk.call("DEL", "c1").silent();
        disk.call("GC", "").silent();
    }
    disk.assert_full("STATUS", "", 50, "");
    disk.enlarge();
    disk.call("STATUS", "").silent();
    assert_eq!(disk.add("c1"), ["10.1.0.2/16"]);
    assert_eq!(disk.files(), [".addresses.db", ".addresses.lock"]);
}

#[test]
fn a_database_that_cannot_grow_loses_nothing() {
    let Some(disk) = Disk::new("1500k", 100) else {
        return;
    };
    let mut given = BTreeSet::new();
    let mut containers = Vec::new();
    let failure = loop {
        assert!(containers.len() < 300);
        let id = format!("c{}", containers.len());
        let outcome = disk.call("ADD", &id);
        if outcome.code != Some(0) {
            break outcome.failure();
        }
        given.extend(addresses(&outcome.success()));
        containers.push(id);
    };
    let file = disk.data_dir().join(".addresses.db");
    assert_eq!(failure.code, 5, "{failure:?}");
    assert!(
        failure.msg.contains(&*file.to_string_lossy()),
        "{failure:?}"
    );
    assert_eq!(given.len(), containers.len() * 100);
    for id in &containers {
        disk.call("CHECK", id).silent();
    }
    disk.enlarge();
    for id in containers.drain(..3) {
        disk.call("DEL", &id).silent();
        assert_eq!(disk.call("CHECK", &id).failure().code, 120);
    }
    for id in 0..10 {
        for address in disk.add(&format!("new{id}")) {
            assert!(given.insert(address.clone()), "{address} twice");
        }
    }
    for id in &containers {
        disk.call("CHECK", id).silent();
    }
}
