//! Installations that fail change nothing, and say what to do.

use std::fs;
use std::process::Command;

use testkit::Node;
use testkit::requirements::require_root;

use crate::support::{NAMES, Plugins, binary, run};

#[test]
fn a_mistake_is_explained() {
    let plugins = Plugins::new();
    let unknown = plugins.fail(&["install", "--plugins", "bridge,tuning"]);
    assert!(
        unknown.contains("invalid value 'tuning' for '--plugins <NAMES>'")
            && unknown.contains("host-local"),
        "{unknown}"
    );
    fs::create_dir(plugins.path("flannel")).unwrap();
    for command in ["install", "uninstall"] {
        assert_eq!(
            plugins.fail(&[command]),
            "twill: DIR/flannel is a directory: remove it\n"
        );
    }
    assert_eq!(plugins.list(), ["flannel"]);
    fs::write(plugins.path("file"), "").unwrap();
    let file = plugins.path("file");
    for (command, message) in [
        ("install", "cannot create"),
        ("uninstall", "is not a directory"),
    ] {
        let output = run(&binary(), &[command.as_ref(), file.as_os_str()]);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(printed.contains(message), "{printed}");
        assert!(printed.contains(file.to_str().unwrap()), "{printed}");
    }
}

/// Mounts a file system on `/mnt` of a node, and runs `twill` there.
fn on_mount(options: &str, before: &str, words: &[&str]) -> (String, Option<i32>, Vec<String>) {
    let node = Node::new().unwrap();
    let shell = |script: &str| {
        let status = node.enter(|| Command::new("sh").args(["-ec", script]).status());
        assert!(status.unwrap().success(), "{script}");
    };
    shell(&format!(
        "mount -t tmpfs -o {options} none /mnt; cd /mnt; {before}"
    ));
    let output = node.enter(|| run(&binary(), words));
    (
        String::from_utf8(output.stderr).unwrap(),
        output.status.code(),
        node.list("/mnt/bin"),
    )
}

#[test]
fn a_full_disk_changes_nothing() {
    if !require_root() {
        return;
    }
    // Room for some of the files, and for all.
    let size = fs::metadata(binary()).unwrap().len();
    let before = "mkdir bin; echo go >bin/bridge";
    let words = ["install", "/mnt/bin"];
    let options = format!("size={}", size * 5 / 2);
    let (message, code, left) = on_mount(&options, before, &words);
    assert_eq!(code, Some(2));
    assert_eq!(
        message,
        "twill: cannot write /mnt/bin/.flannel.twill-new: No space left on device (os error 28)\n"
    );
    assert_eq!(left, ["bridge"]);
    let options = format!("size={}", size * 10);
    let (message, code, left) = on_mount(&options, before, &words);
    assert_eq!((message.as_str(), code), ("", Some(0)));
    assert_eq!(left.len(), NAMES.len() + 1);
}

#[test]
fn a_read_only_disk_is_named_and_other_directories_are_served() {
    if !require_root() {
        return;
    }
    let before = "mkdir bin; echo go >bin/bridge; mount -o remount,ro /mnt";
    let words = ["install", "/mnt/bin", "/run/bin"];
    let (message, code, left) = on_mount("size=1m", before, &words);
    assert_eq!(code, Some(2));
    assert_eq!(
        message,
        "twill: cannot write /mnt/bin/.bandwidth.twill-new: Read-only file system (os error 30)\n"
    );
    assert_eq!(left, ["bridge"]);

    // The order does not matter, and both are reported by uninstall.
    let script = format!(
        "mkdir bin; cp {0} bin/bridge; cp {0} bin/flannel; mount -o remount,ro /mnt",
        binary().display()
    );
    let (message, code, left) = on_mount("size=100m", &script, &["uninstall", "/mnt/bin"]);
    assert_eq!(code, Some(2));
    assert_eq!(
        message,
        "twill: cannot remove /mnt/bin/bridge: Read-only file system (os error 30)\n"
    );
    assert_eq!(left, ["bridge", "flannel"]);
}
