//! A network's addresses go to the database and back, with containers that stay.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helper functions fail by panicking"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use testkit::{Invocation, Outcome, binaries};

fn call(data_dir: &Path, backend: &str, command: &str, container: &str) -> Outcome {
    let ipam = json!({
        "type": "host-local",
        "dataDir": data_dir,
        "backend": backend,
        "ranges": [[{"subnet": "10.1.1.0/24"}], [{"subnet": "fd00::/64"}]],
    });
    Invocation::attach(binaries::plugin("host-local"), command, container)
        .config(&json!({"cniVersion": "1.0.0", "name": "net", "ipam": ipam}))
        .run()
}

fn first_address(data_dir: &Path, backend: &str, container: &str) -> String {
    let result = call(data_dir, backend, "ADD", container).success();
    result["ips"][0]["address"].as_str().unwrap().to_owned()
}

/// What the command prints, and whether it succeeded.
fn convert(data_dir: &Path, to: &str) -> (String, bool) {
    let output = Command::new(binaries::plugin("twill"))
        .args(["convert", to, "net", "--data-dir"])
        .arg(data_dir)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (
        String::from_utf8(output.stdout).unwrap(),
        output.status.success(),
    )
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn there_and_back() {
    let temp = tempfile::tempdir().unwrap();
    let data_dir = temp.path();
    assert_eq!(first_address(data_dir, "disk", "c1"), "10.1.1.2/24");
    assert_eq!(first_address(data_dir, "disk", "c2"), "10.1.1.3/24");
    let before = files(&data_dir.join("net"));

    let moved = "moved 4 addresses of network net to the database: now set \"backend\": \"db\" in its ipam\n";
    assert_eq!(convert(data_dir, "db"), (moved.to_owned(), true));
    call(data_dir, "db", "CHECK", "c1").silent();
    assert_eq!(call(data_dir, "disk", "CHECK", "c1").failure().code, 120);
    // It goes on where it was, and what it gives now goes back too.
    assert_eq!(first_address(data_dir, "db", "c3"), "10.1.1.4/24");
    call(data_dir, "db", "DEL", "c3").silent();

    let moved =
        "moved 4 addresses of network net to files: now set \"backend\": \"disk\" in its ipam\n";
    assert_eq!(convert(data_dir, "disk"), (moved.to_owned(), true));
    let mut expected = before;
    expected.insert("last_reserved_ip.0".into(), "10.1.1.4".into());
    expected.insert("last_reserved_ip.1".into(), "fd00::4".into());
    assert_eq!(files(&data_dir.join("net")), expected);
    for container in ["c1", "c2"] {
        call(data_dir, "disk", "CHECK", container).silent();
        call(data_dir, "disk", "DEL", container).silent();
    }
}

#[test]
fn there_is_nothing_to_move() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().display();
    assert_eq!(
        convert(temp.path(), "db"),
        (format!("network net has no addresses in {folder}\n"), true)
    );
    assert_eq!(
        convert(temp.path(), "disk"),
        (format!("there is no database in {folder}\n"), true)
    );
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
}
