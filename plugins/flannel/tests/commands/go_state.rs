//! Files of the Go plugin, and debris of a power cut.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::desk::Desk;

/// Files that old and new versions of the Go plugin wrote for containers.
fn written_by_go() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/flannel/state");
    let mut files = Vec::new();
    for entry in fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        let container_id = entry.file_name().into_string().unwrap();
        files.push((container_id, fs::read(entry.path()).unwrap()));
    }
    assert_eq!(files.len(), 3, "files in {}", directory.display());
    files
}

fn leave(desk: &Desk, container_id: &str, contents: &[u8]) -> PathBuf {
    let file = desk.data_dir().join(container_id);
    fs::create_dir_all(desk.data_dir()).unwrap();
    fs::write(&file, contents).unwrap();
    file
}

#[test]
fn del_replays_the_go_plugins_file() {
    for (container_id, contents) in written_by_go() {
        let desk = Desk::new();
        let file = leave(&desk, &container_id, &contents);
        // The file does not name its attachment, so any attachment of the container uses it.
        for (command, ifname) in [("CHECK", "eth0"), ("CHECK", "net1"), ("DEL", "net1")] {
            let call = desk.call(command).container(&container_id).ifname(ifname);
            assert_eq!(fs::read(&file).unwrap(), contents);
            call.run().silent();
        }
        assert!(!file.exists());
        let calls = desk.delegate.calls();
        assert_eq!(calls.len(), 3);
        // A version without CHECK is raised for a CHECK.
        let text = String::from_utf8(contents).unwrap();
        let has_check = text.contains(r#""cniVersion":"1.0.0""#);
        for call in calls {
            if call.command == "DEL" || has_check {
                assert_eq!(call.stdin, text.as_bytes(), "{container_id}");
            } else {
                let mut expected: Value = serde_json::from_str(&text).unwrap();
                expected["cniVersion"] = "1.0.0".into();
                let checked: Value = serde_json::from_slice(&call.stdin).unwrap();
                assert_eq!(checked, expected, "{container_id}");
            }
        }
    }
}

#[test]
fn the_go_plugins_file_survives_a_failed_del() {
    let (container_id, contents) = written_by_go().remove(0);
    let desk = Desk::new();
    let file = leave(&desk, &container_id, &contents);
    desk.delegate.on("DEL").exit(1);
    let del = desk.call("DEL").container(&container_id);
    del.run().failure();
    // Only the record of the failure is added.
    let mut left: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    left.as_object_mut().unwrap().remove("twill/failure");
    assert_eq!(left, serde_json::from_slice::<Value>(&contents).unwrap());
    desk.delegate.on("DEL").reset();
    del.run().silent();
    assert!(!file.exists());
}

#[test]
fn del_removes_debris_of_a_power_cut() {
    let whole = written_by_go().remove(0).1;
    for debris in [&b""[..], &whole[..whole.len() / 2], &[0; 512], b"[]", b"{}"] {
        let desk = Desk::new();
        let file = leave(&desk, "c1", debris);
        let failure = desk.call("CHECK").run().failure();
        assert_eq!(failure.code, 120, "{failure:?}");
        assert!(file.exists());
        desk.delegate.on("DEL").exit(1);
        desk.call("DEL").run().failure();
        assert!(file.exists());
        desk.delegate.on("DEL").reset();
        desk.call("DEL").run().silent();
        assert!(!file.exists());
        desk.call("ADD").run().success();
        let calls = desk.delegate.calls();
        assert_eq!(calls.len(), 3);
        assert_eq!(calls[1].stdin, calls[2].stdin);
    }
}

#[test]
fn add_replaces_debris() {
    let desk = Desk::new();
    leave(&desk, "c1", b"{\"name\":");
    desk.call("ADD").run().success();
    assert_eq!(desk.kept().into_keys().collect::<Vec<_>>(), ["c1"]);
    desk.call("DEL").run().silent();
    assert_eq!(desk.kept(), [].into());
    let calls = desk.delegate.calls();
    assert_eq!(calls[1].stdin, calls[0].stdin);
}
