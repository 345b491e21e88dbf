//! File systems and permissions with restrictions, and changes that people make to the plugin's
//! files.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helper functions fail by panicking"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;
use testkit::{Invocation, Node, Outcome, binaries, requirements};

struct Network {
    temp: TempDir,
    program: PathBuf,
    node: Option<Node>,
}

impl Network {
    fn new() -> Self {
        Self {
            temp: tempfile::tempdir().unwrap(),
            program: binaries::plugin("host-local"),
            node: None,
        }
    }

    fn data_dir(&self) -> PathBuf {
        self.temp.path().join("data")
    }

    fn path(&self, file: &str) -> PathBuf {
        self.data_dir().join("net").join(file)
    }

    fn call(&self, command: &str, container: &str) -> Outcome {
        let conf = json!({
            "cniVersion": "1.1.0",
            "name": "net",
            "cni.dev/valid-attachments": [],
            "ipam": { "subnet": "10.1.1.0/29", "dataDir": self.data_dir() },
        });
        let call = Invocation::attach(&self.program, command, container).config(&conf);
        match &self.node {
            Some(node) => node.run(&call),
            None => call.run(),
        }
    }

    #[track_caller]
    fn add(&self, container: &str) -> String {
        let result = self.call("ADD", container).success();
        let address = result["ips"][0]["address"].as_str().unwrap();
        address.strip_suffix("/29").unwrap().to_owned()
    }

    /// The operations that must work on any file system.
    fn life(&self) {
        let given = ["c1", "c2", "c3"].map(|container| self.add(container));
        assert_eq!(given, ["10.1.1.2", "10.1.1.3", "10.1.1.4"]);
        for container in ["c1", "c2", "c3"] {
            self.call("CHECK", container).silent();
        }
        assert_eq!(self.call("ADD", "c2").failure().code, 112);
        self.call("DEL", "c2").silent();
        assert_eq!(self.call("CHECK", "c2").failure().code, 120);
        let given = ["c4", "c5", "c6"].map(|container| self.add(container));
        assert_eq!(given, ["10.1.1.5", "10.1.1.6", "10.1.1.3"]);
        for container in ["c1", "c3", "c4", "c5", "c6"] {
            self.call("CHECK", container).silent();
        }
        assert_eq!(self.call("ADD", "c7").failure().code, 110);
        self.call("STATUS", "").failure();
        self.call("GC", "").silent();
        self.call("STATUS", "").silent();
        assert_eq!(self.call("CHECK", "c1").failure().code, 120);
    }
}

/// A network in a file system that a command creates in a file.
fn in_image(make: &[&str]) -> Option<Network> {
    if !requirements::require_root() {
        return None;
    }
    let mut network = Network::new();
    let image = network.temp.path().join("image");
    let file = fs::File::create(&image).unwrap();
    file.set_len(16 << 20).unwrap();
    let made = Command::new(make[0]).args(&make[1..]).arg(&image).output();
    fs::create_dir(network.data_dir()).unwrap();
    let node = Node::new().unwrap();
    let mounted = node.enter(|| {
        let mut mount = Command::new("mount");
        mount
            .args(["-o", "loop"])
            .arg(&image)
            .arg(network.data_dir());
        mount.output().unwrap()
    });
    if !made.is_ok_and(|made| made.status.success()) || !mounted.status.success() {
        requirements::skip(&format!("needs a loop device and {}", make[0]));
        return None;
    }
    network.node = Some(node);
    Some(network)
}

#[test]
fn a_file_system_with_times_in_seconds_knows_earlier_boots() {
    let Some(network) = in_image(&["mkfs.ext4", "-q", "-I", "128"]) else {
        return;
    };
    network.life();
    let node = network.node.as_ref().unwrap();
    // The next operation rolls a killed ADD back.
    network.add("c1");
    if let Some(strace) = ["/usr/bin/strace"]
        .into_iter()
        .find(|path| Path::new(path).exists())
    {
        let script = network.temp.path().join("killed");
        let plugin = network.program.display();
        let text = format!(
            "#!/bin/sh\nexec {strace} -qq -o /dev/null -e inject=pwrite64:signal=SIGKILL:when=3 \
                {plugin}\n"
        );
        executable(&script, &text);
        let killed = Network {
            program: script,
            ..Network::new()
        };
        let conf = json!({
            "cniVersion": "1.1.0",
            "name": "net",
            "ipam": { "subnet": "10.1.1.0/29", "dataDir": network.data_dir() },
        });
        let call = Invocation::attach(&killed.program, "ADD", "killed").config(&conf);
        assert_eq!(node.run(&call).signal, Some(9));
        let held = || {
            node.list(network.path(""))
                .into_iter()
                .filter(|name| name.starts_with("10."))
                .count()
        };
        assert_eq!(held(), 2);
        network.call("CHECK", "c1").silent();
        assert_eq!(held(), 1);
    }
    // After a reboot, addresses with the tag of another boot yield.
    for container in ["c2", "c3", "c4", "c5"] {
        network.add(container);
    }
    assert_eq!(network.call("ADD", "c6").failure().code, 110);
    node.enter(|| {
        for entry in fs::read_dir(network.path("")).unwrap() {
            let path = entry.unwrap().path();
            if path
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("10.")
            {
                let file = fs::File::open(path).unwrap();
                let time = file.metadata().unwrap().modified().unwrap();
                file.set_modified(time - std::time::Duration::from_secs(1))
                    .unwrap();
            }
        }
        fs::remove_dir_all(network.data_dir().join(".index")).unwrap();
    });
    network.add("c6");
    assert_eq!(network.call("ADD", "c6").failure().code, 112);
}

/// A program that runs as another user, without root's capabilities.
fn as_nobody(network: &mut Network) -> bool {
    if !requirements::require_root() {
        return false;
    }
    let program = network.temp.path().join("host-local");
    fs::copy(&network.program, &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(network.temp.path(), Permissions::from_mode(0o755)).unwrap();
    let script = network.temp.path().join("as-nobody");
    let text = format!(
        "#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all \
            {}\n",
        program.display()
    );
    executable(&script, &text);
    network.program = script;
    true
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// A user with write access may not set the directory's time, so the index is never current.
#[test]
fn a_directory_of_another_user_works_without_an_index() {
    let mut network = Network::new();
    if !as_nobody(&mut network) {
        return;
    }
    fs::create_dir_all(network.path("")).unwrap();
    for directory in [network.data_dir(), network.path("")] {
        fs::set_permissions(directory, Permissions::from_mode(0o777)).unwrap();
    }
    network.life();
}

/// The index is another user's.
#[test]
fn an_index_of_another_user_is_not_needed() {
    let mut network = Network::new();
    network.add("root");
    network.call("DEL", "root").silent();
    fs::remove_dir_all(network.path("")).unwrap();
    if !as_nobody(&mut network) {
        return;
    }
    fs::set_permissions(network.data_dir(), Permissions::from_mode(0o777)).unwrap();
    network.life();
}

#[test]
fn a_network_directory_may_be_a_link() {
    let network = Network::new();
    fs::create_dir(network.data_dir()).unwrap();
    let elsewhere = network.temp.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, network.path("").parent().unwrap().join("net")).unwrap();
    network.life();
    assert_eq!(network.add("c1"), "10.1.1.4");
    assert_eq!(
        fs::read_to_string(elsewhere.join("10.1.1.4")).unwrap(),
        "c1\r\neth0"
    );
}

/// Every command ignores each kind of file and leaves it alone.
#[test]
fn other_kinds_of_files_block_their_address_only() {
    let network = Network::new();
    assert_eq!(network.add("c1"), "10.1.1.2");
    let _socket = UnixListener::bind(network.path("10.1.1.3")).unwrap();
    make_fifo(&network.path("10.1.1.4"));
    fs::create_dir(network.path("10.1.1.5")).unwrap();
    network.call("CHECK", "c1").silent();
    network.call("STATUS", "").silent();
    assert_eq!(network.add("c2"), "10.1.1.6");
    assert_eq!(network.call("ADD", "c3").failure().code, 110);
    network.call("DEL", "c2").silent();
    network.call("GC", "").silent();
    for name in ["10.1.1.3", "10.1.1.4", "10.1.1.5"] {
        assert!(network.path(name).symlink_metadata().is_ok(), "{name}");
    }
    assert!(!network.path("10.1.1.2").exists());
}

fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// A FIFO without a reader, a socket and a directory in the places of the plugin's own files.
#[test]
fn other_kinds_of_files_as_last_reserved_ip_do_no_harm() {
    let network = Network::new();
    let last = network.path("last_reserved_ip.0");
    network.add("c1");
    let remove = || fs::remove_file(&last).unwrap();
    remove();
    make_fifo(&last);
    network.add("c2");
    remove();
    let socket = UnixListener::bind(&last).unwrap();
    network.add("c3");
    drop(socket);
    remove();
    fs::create_dir(&last).unwrap();
    let failure = network.call("ADD", "c4").failure();
    assert_eq!(
        (failure.code, failure.msg),
        (
            5,
            format!(
                "{} is no regular file: remove it if nobody needs it",
                last.display()
            )
        )
    );
    network.call("CHECK", "c3").silent();
    network.call("DEL", "c4").silent();
}

/// `rsync -a` of a backup restores old contents with their times.
#[test]
fn a_restored_backup_is_noticed() {
    let network = Network::new();
    network.add("c1");
    let index = network.data_dir().join(".index/net");
    let directory = fs::File::open(network.path("")).unwrap();
    let saved = fs::read(&index).unwrap();
    let time = directory.metadata().unwrap().modified().unwrap();
    assert_eq!(network.add("c2"), "10.1.1.3");
    fs::write(&index, saved).unwrap();
    directory.set_modified(time).unwrap();
    network.call("CHECK", "c2").silent();
    network.call("DEL", "c2").silent();
    assert!(!network.path("10.1.1.3").exists());

    // The same with GC.
    let saved = fs::read(&index).unwrap();
    let time = directory.metadata().unwrap().modified().unwrap();
    assert_eq!(network.add("c3"), "10.1.1.4");
    fs::write(&index, saved).unwrap();
    directory.set_modified(time).unwrap();
    network.call("GC", "").silent();
    assert!(!network.path("10.1.1.4").exists());
}
