//! STATUS reports the error of an ADD, whatever is on disk, and creates nothing.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Invocation, Outcome, binaries};

#[path = "support/directory.rs"]
mod directory;
#[path = "support/immutable.rs"]
mod immutable;

use immutable::Immutable;

struct Network {
    temp: TempDir,
    config: Value,
}

impl Network {
    /// Room for three attachments.
    fn new(backend: &str) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let ipam = json!({
            "backend": backend,
            "dataDir": temp.path().join("data"),
            "subnet": "10.1.1.0/29",
            "rangeEnd": "10.1.1.4",
        });
        let config = json!({ "cniVersion": "1.1.0", "name": "net", "ipam": ipam });
        Self { temp, config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join("data").join(name)
    }

    fn call(&self, command: &str, container: &str) -> Outcome {
        Invocation::attach(binaries::plugin("host-local"), command, container)
            .config(&self.config)
            .run()
    }

    /// STATUS creates at most the lock file, and reports what the next ADD reports. Returns whether
    /// they succeed.
    fn agree(&self, what: &str) -> bool {
        let before = directory::contents(self.temp.path());
        let status = self.call("STATUS", "");
        assert!(status.elapsed < Duration::from_secs(2), "{what}: {status}");
        let mut after = directory::contents(self.temp.path());
        if !before.contains_key("data/net/lock") {
            after.remove("data/net/lock");
        }
        assert_eq!(after, before, "{what}");
        let add = self.call("ADD", "new");
        if add.json()["ips"].is_array() {
            status.silent();
            return true;
        }
        let (add, status) = (add.failure(), status.failure());
        assert_eq!(status.code, 50, "{what}");
        let reason = add
            .msg
            .trim_start_matches("failed to allocate for range 0: ");
        assert!(
            status.msg.ends_with(reason),
            "{what}:\n{}\n{}",
            status.msg,
            add.msg
        );
        false
    }
}

const KINDS: [&str; 6] = [
    "a directory",
    "a FIFO",
    "a socket",
    "a link to nothing",
    "a link to a file",
    IMMUTABLE,
];

const IMMUTABLE: &str = "an immutable file";

/// Replaces a file by one of another kind; `false` if that is not possible.
fn put(kind: &str, path: &Path) -> bool {
    if !path.parent().unwrap().is_dir() {
        return false;
    }
    let _ = fs::remove_file(path);
    let _ = fs::remove_dir_all(path);
    match kind {
        "a directory" => fs::create_dir(path).unwrap(),
        "a FIFO" => {
            let made = Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        }
        "a socket" => drop(UnixListener::bind(path).unwrap()),
        "a link to nothing" => symlink("nothing", path).unwrap(),
        "a link to a file" => symlink("/etc/hostname", path).unwrap(),
        IMMUTABLE => fs::write(path, "").unwrap(),
        other => panic!("{other}"),
    }
    true
}

fn compare(backend: &str, names: &[&str]) {
    let (mut succeeded, mut failed) = (0, 0);
    for used in [false, true] {
        for name in names {
            for kind in KINDS {
                let network = Network::new(backend);
                fs::create_dir(network.path("")).unwrap();
                if used {
                    network.call("ADD", "first").success();
                }
                let path = network.path(name);
                let path = PathBuf::from(path.to_str().unwrap().trim_end_matches('/'));
                if !put(kind, &path) {
                    continue;
                }
                let immutable = (kind == IMMUTABLE).then(|| Immutable::make(&path));
                if matches!(immutable, Some(None)) {
                    continue;
                }
                let what = format!("{backend}, {name} is {kind}, used: {used}");
                match network.agree(&what) {
                    true => succeeded += 1,
                    false => failed += 1,
                }
            }
        }
    }
    assert!(succeeded > 10 && failed > 10, "{succeeded}, {failed}");
}

#[test]
fn status_agrees_with_add_for_any_kind_of_file() {
    compare(
        "disk",
        &[
            "",
            "net",
            "net/lock",
            "net/.new",
            "net/.lock",
            "net/last_reserved_ip.0",
            "net/10.1.1.3",
            ".index",
            ".index/net",
            ".index/.new",
            ".addresses.db",
            ".addresses.lock",
        ],
    );
}

#[test]
fn status_agrees_with_add_for_any_kind_of_file_as_database() {
    compare(
        "db",
        &[
            "",
            "net",
            ".addresses.db",
            ".addresses.lock",
            ".addresses.new",
            ".new",
        ],
    );
}

/// A file with other text blocks its address too.
#[test]
fn status_reports_exhaustion_by_foreign_files() {
    for kind in ["a directory", "a link to nothing", "a FIFO"] {
        let network = Network::new("disk");
        network.call("ADD", "first").success();
        for address in ["net/10.1.1.3", "net/10.1.1.4"] {
            assert!(network.agree(kind));
            network.call("DEL", "new").silent();
            assert!(put(kind, &network.path(address)));
        }
        assert!(!network.agree(kind), "{kind}");
    }
}

/// The index is readable, and may contain the record of a killed ADD.
#[test]
fn status_agrees_with_add_for_an_index_without_write_access() {
    let network = Network::new("disk");
    network.call("ADD", "first").success();
    let index = network.path(".index/net");
    let Some(immutable) = Immutable::make(&index) else {
        return;
    };
    let add = network.call("ADD", "second");
    let agreed = network.agree("an immutable index");
    let del = network.call("DEL", "first");
    drop(immutable);
    let add = add.failure();
    let message = format!(
        "cannot write {}: Operation not permitted (os error 1)",
        index.display()
    );
    assert_eq!((add.code, add.msg, agreed), (5, message, false));
    del.silent();
    assert_eq!(network.call("CHECK", "first").failure().code, 120);
}

#[test]
fn status_reports_a_network_name_that_is_too_long() {
    let mut network = Network::new("disk");
    network.config["name"] = "n".repeat(256).into();
    fs::create_dir(network.path("")).unwrap();
    assert!(!network.agree("an empty directory"));
}

#[test]
fn status_reports_a_dangling_data_dir() {
    for backend in ["disk", "db"] {
        let mut network = Network::new(backend);
        symlink("nothing", network.path("")).unwrap_or_else(|_| {
            symlink("nothing", network.temp.path().join("data")).unwrap();
        });
        assert!(!network.agree(backend));
        let below = network.path("below");
        network.config["ipam"]["dataDir"] = below.to_str().unwrap().into();
        assert!(!network.agree(backend));
    }
}

#[test]
fn status_agrees_with_add_about_resolv_conf() {
    let mut network = Network::new("disk");
    for (file, is_readable) in [("/etc/hostname", true), ("/nothing", false)] {
        network.config["ipam"]["resolvConf"] = file.into();
        assert_eq!(network.agree(file), is_readable);
    }
}
