//! `twill convert`: a network's addresses move to the database and back while containers stay.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Invocation, Outcome, binaries};

fn conf(data_dir: &Path, backend: &str) -> Value {
    let ipam = json!({
        "type": "host-local",
        "dataDir": data_dir,
        "backend": backend,
        "ranges": [[{"subnet": "10.1.1.0/24"}], [{"subnet": "fd00::/64"}]],
    });
    json!({"cniVersion": "1.1.0", "name": "net", "ipam": ipam})
}

fn call(data_dir: &Path, backend: &str, command: &str, container: &str) -> Outcome {
    Invocation::attach(binaries::plugin("host-local"), command, container)
        .config(&conf(data_dir, backend))
        .run()
}

/// Runs a GC with these containers as the valid ones.
fn gc(data_dir: &Path, backend: &str, valid: &[&str]) -> Outcome {
    let mut conf = conf(data_dir, backend);
    let valid = valid
        .iter()
        .map(|container| json!({"containerID": container, "ifname": "eth0"}));
    conf["cni.dev/valid-attachments"] = valid.collect();
    Invocation::attach(binaries::plugin("host-local"), "GC", "")
        .config(&conf)
        .run()
}

fn first_address(data_dir: &Path, backend: &str, container: &str) -> String {
    let result = call(data_dir, backend, "ADD", container).success();
    result["ips"][0]["address"].as_str().unwrap().to_owned()
}

/// The command's output, and whether it succeeded.
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

fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn addresses_move_to_the_database_and_back() {
    let temp = tempfile::tempdir().unwrap();
    let data_dir = temp.path();
    assert_eq!(first_address(data_dir, "disk", "c1"), "10.1.1.2/24");
    assert_eq!(first_address(data_dir, "disk", "c2"), "10.1.1.3/24");
    let before = files(&data_dir.join("net"));

    let moved = "moved 4 addresses of network net to the database: now set \"backend\": \"db\" in \
        its ipam\n";
    assert_eq!(convert(data_dir, "db"), (moved.to_owned(), true));
    call(data_dir, "db", "CHECK", "c1").silent();
    assert_eq!(call(data_dir, "disk", "CHECK", "c1").failure().code, 120);
    // Allocation continues after the last address, and a new address moves back too.
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
fn add_is_refused_after_a_change_of_backend_without_convert() {
    for (old, new, place) in [("disk", "db", "net"), ("db", "disk", ".addresses.db")] {
        let temp = tempfile::tempdir().unwrap();
        let data_dir = temp.path();
        for container in ["c1", "c2", "c3"] {
            first_address(data_dir, old, container);
        }
        let message = format!(
            "network net has 6 addresses in {}, which \"backend\": \"{new}\" does not know: move \
                them with `twill convert {new} net --data-dir {}`, or set \"backend\": \"{old}\"",
            data_dir.join(place).display(),
            data_dir.display()
        );
        let add = call(data_dir, new, "ADD", "c4").failure();
        assert_eq!((add.code, add.msg.as_str()), (7, message.as_str()));
        let status = call(data_dir, new, "STATUS", "").failure();
        assert_eq!(status.code, 50);
        assert!(status.msg.ends_with(&message), "{}", status.msg);

        // DEL and GC release addresses in both backends.
        call(data_dir, new, "DEL", "c1").silent();
        assert_eq!(call(data_dir, old, "CHECK", "c1").failure().code, 120);
        call(data_dir, old, "CHECK", "c2").silent();
        gc(data_dir, new, &["c3"]).silent();
        assert_eq!(call(data_dir, old, "CHECK", "c2").failure().code, 120);
        call(data_dir, old, "CHECK", "c3").silent();

        let (said, succeeded) = convert(data_dir, new);
        assert!(succeeded && said.starts_with("moved 2 addresses"), "{said}");
        // The database is removed with its last address.
        assert_eq!(data_dir.join(".addresses.db").exists(), new == "db");
        call(data_dir, new, "STATUS", "").silent();
        call(data_dir, new, "CHECK", "c3").silent();
        assert_eq!(first_address(data_dir, new, "c4"), "10.1.1.5/24");
        call(data_dir, new, "DEL", "c3").silent();
        call(data_dir, new, "DEL", "c4").silent();
        // Without addresses, the backend may be changed without the command.
        assert_eq!(first_address(data_dir, old, "c5").split('.').count(), 4);
    }
}

#[test]
fn a_database_of_other_networks_does_not_block_add() {
    let temp = tempfile::tempdir().unwrap();
    let data_dir = temp.path();
    first_address(data_dir, "db", "c1");
    let mut conf = conf(data_dir, "disk");
    conf["name"] = "other".into();
    Invocation::attach(binaries::plugin("host-local"), "ADD", "c1")
        .config(&conf)
        .run()
        .success();
    // A damaged database may contain addresses of the network.
    fs::write(data_dir.join(".addresses.db"), "").unwrap();
    let failure = Invocation::attach(binaries::plugin("host-local"), "ADD", "c2")
        .config(&conf)
        .run()
        .failure();
    assert!(
        failure
            .msg
            .contains(".addresses.db is damaged: the file is empty;"),
        "{}",
        failure.msg
    );
    Invocation::attach(binaries::plugin("host-local"), "DEL", "c2")
        .config(&conf)
        .run()
        .silent();
}

#[test]
fn convert_without_addresses_reports_that_there_is_nothing_to_move() {
    let temp = tempfile::tempdir().unwrap();
    let directory = temp.path().display();
    assert_eq!(
        convert(temp.path(), "db"),
        (
            format!("network net has no addresses in {directory}\n"),
            true
        )
    );
    assert_eq!(
        convert(temp.path(), "disk"),
        (format!("there is no database in {directory}\n"), true)
    );
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
}
