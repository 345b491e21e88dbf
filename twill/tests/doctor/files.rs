//! flanneld's lease, the list, kept configurations, plugins, and the disk.

use std::fs;
use std::process::Command;

use nix::sys::statvfs::statvfs;

use crate::support::Inhabitant;
use crate::ward::{DB, DISK, Ward};

#[test]
fn faults_of_the_lease() {
    for (net, kind) in [("10.211.10", DISK), ("10.211.30", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        let file = "/run/flannel/subnet.env";
        let lease = ward.stage.node.read(file);
        ward.remove(file);
        ward.find("lease-file", "flanneld's lease");
        ward.write(file, &lease.replace("FLANNEL_MTU=1450\n", ""));
        ward.find("lease-file", "flanneld's lease");
        ward.write(file, &lease);
        assert_eq!(ward.faults(), []);
    }
}

#[test]
fn a_lease_file_older_than_flanneld() {
    for (net, kind) in [("10.211.22", DISK), ("10.211.31", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        let program = ward.stage.directory().join("flanneld");
        fs::copy("/bin/sleep", &program).unwrap();
        // One in another namespace is not the node's.
        let elsewhere = Inhabitant::running(&program, |start| ward.one.sandbox.enter(start));
        assert_eq!(ward.faults(), []);
        drop(elsewhere);
        let flanneld = Inhabitant::running(&program, |start| ward.stage.node.enter(start));
        let file = "/run/flannel/subnet.env";
        ward.find("old-lease-file", file);
        let lease = ward.stage.node.read(file);
        ward.write(file, &lease);
        assert_eq!(ward.faults(), []);
        drop(flanneld);
    }
}

#[test]
fn no_list_and_a_failed_del() {
    for (net, kind) in [("10.211.23", DISK), ("10.211.24", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        let list = "/etc/cni/net.d/10-net.conflist";
        let text = ward.stage.node.read(list);
        ward.write(list, "{");
        let unreadable = ("unreadable".to_owned(), list.to_owned());
        let none = ("no-list".to_owned(), "/etc/cni/net.d".to_owned());
        assert_eq!(ward.faults(), [unreadable, none]);
        ward.write(list, &text);

        let kept = "/var/lib/cni/flannel/c1";
        let intact = ward.stage.node.read(kept);
        let failed = r#"{"twill/failure":"bridge: no","twill/failures":2,"#;
        ward.write(kept, &intact.replacen('{', failed, 1));
        ward.find("failed-delete", "eth0 of container c1");
        ward.write(kept, &intact);
        assert_eq!(ward.faults(), []);
    }
}

// Which store has the addresses does not matter to the plugins' binaries.
#[test]
fn faults_of_the_plugins() {
    let Some(ward) = Ward::new(DISK, "10.211.11") else {
        return;
    };
    let bridge = ward.stage.bin().join("bridge");
    let twill = fs::read_link(&bridge).unwrap();
    fs::remove_file(&bridge).unwrap();
    ward.find("missing-plugin", "bridge");
    // As an init container of flannel's manifest leaves it that writes through a link.
    ward.stage.install_plugin(
        "bridge",
        "echo 'CNI Plugin flannel version v1.4.0 (linux/amd64) commit x built on y' >&2",
    );
    ward.find("foreign-plugin", bridge.to_str().unwrap());
    fs::remove_file(&bridge).unwrap();
    std::os::unix::fs::symlink(twill, &bridge).unwrap();
    assert_eq!(ward.faults(), []);
}

#[test]
fn disks_without_room() {
    // A database has to be opened for writing.
    let of_db = &["disk-read-only", "unreadable"][..];
    for (net, kind, read_only) in [("10.211.17", DISK, &of_db[..1]), ("10.211.35", DB, of_db)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        disk_without_room(&ward, read_only);
    }
}

/// `read_only` are the faults while the disk is read-only.
fn disk_without_room(ward: &Ward, read_only: &[&str]) {
    let remount = |options: &str| {
        ward.stage.node.enter(|| {
            let words = ["-o", &format!("remount,{options}"), "/var/lib/cni"];
            let mounted = Command::new("mount").args(words).status();
            assert!(mounted.unwrap().success());
        });
    };
    let stat = ward.stage.node.enter(|| statvfs("/var/lib/cni").unwrap());
    let used = (stat.blocks() - stat.blocks_free()) * stat.fragment_size();
    remount(&format!("size={}k", used / 1024 + 512));
    let kinds = |faults: Vec<(String, String)>| -> Vec<String> {
        let mut kinds: Vec<String> = faults.into_iter().map(|(kind, _)| kind).collect();
        kinds.dedup();
        kinds
    };
    assert_eq!(kinds(ward.faults()), ["disk-full"]);
    remount("size=100m,ro");
    assert_eq!(kinds(ward.faults()), read_only);
    remount("size=100m,rw");
    assert_eq!(ward.faults(), []);
}

/// `twill convert` moves the addresses; the network's configuration is a person's.
#[test]
fn addresses_in_the_other_backend() {
    for (net, kind, other) in [("10.211.40", DISK, "db"), ("10.211.41", DB, "disk")] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        let network = ward.stage.network();
        ward.stage.twill(&["convert", other, &network]).text(0);
        let subject = format!("network {network}");
        assert_eq!(ward.faults(), [("other-backend".to_owned(), subject)]);
        ward.stage
            .twill(&["convert", kind.backend, &network])
            .text(0);
        assert_eq!(ward.faults(), []);
    }
}
