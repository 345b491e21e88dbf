//! Leases, address files, the index and the database.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use testkit::binaries;

use crate::support::{Inhabitant, Stage, container};
use crate::ward::{DB, DISK, Ward};

#[test]
fn a_dead_lease() {
    for (net, kind) in [("10.211.0", DISK), ("10.211.1", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        let before = ward.stage.holdings();
        let dead = container("c2");
        ward.stage.add(&dead);
        dead.ip("link delete eth0");
        let network = ward.stage.network();
        ward.mend("dead-lease", &format!("{net}.3 of c2 eth0 in {network}"));
        assert_eq!(ward.stage.holdings(), before);
    }
}

#[test]
fn holdings_of_a_dead_container_without_an_address() {
    for (net, kind) in [("10.211.2", DISK), ("10.211.3", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        let network = ward.stage.network();
        let kept = ward
            .stage
            .node
            .read("/var/lib/cni/flannel/c1")
            .replace("c1", "c9");
        ward.write("/var/lib/cni/flannel/c9", &kept);
        ward.mend("kept-without-container", &format!("c9 eth0 in {network}"));

        // A file of Go's flannel does not say its interface.
        let mut of_go: Value = serde_json::from_str(&kept).unwrap();
        of_go.as_object_mut().unwrap().remove("twill/ifname");
        ward.write("/var/lib/cni/flannel/c8", &of_go.to_string());
        ward.mend("kept-without-container", &format!("c8 eth0 in {network}"));

        ward.write("/var/lib/cni/flannel/c7", "{\"type\":");
        ward.mend("garbled-kept-configuration", "/var/lib/cni/flannel/c7");

        let alias = format!("twill/{network}/c6/eth0");
        ward.stage
            .node
            .ip("link add veth6 type veth peer name peer6");
        ward.stage.node.ip(&format!("link set veth6 alias {alias}"));
        ward.mend("link-without-container", &format!("c6 eth0 in {network}"));
    }
}

// A database has no address files.
#[test]
fn faults_of_the_address_files() {
    let Some(ward) = Ward::new(DISK, "10.211.4") else {
        return;
    };
    let garbled = ward.network_file("10.211.4.9");
    for contents in ["", "\0\0\0\0"] {
        ward.write(&garbled, contents);
        ward.mend("garbled-address-file", garbled.to_str().unwrap());
    }
    ward.write(&garbled, "reserved for the printer\n");
    ward.find("blocked-address", garbled.to_str().unwrap());
    ward.remove(&garbled);
    assert_eq!(ward.faults(), []);
}

// Somebody has edited an address file in place, and changed no directory. A database has no index
// beside it.
#[test]
fn an_index_that_lies() {
    let Some(ward) = Ward::new(DISK, "10.211.5") else {
        return;
    };
    let two = container("c2");
    ward.stage.add(&two);
    let _inhabitant = Inhabitant::of(&two);
    let file = ward.network_file("10.211.5.3");
    let index = format!("/var/lib/cni/networks/.index/{}", ward.stage.network());
    // The container is the same in all but its ID: nothing else is wrong with it.
    let owner = ward.stage.node.read(&file).replace("c2", "c3");
    ward.stage.node.enter(|| fs::write(&file, owner)).unwrap();
    let faults = ward.faults();
    assert!(
        faults.contains(&("false-index".to_owned(), index.clone())),
        "{faults:?}"
    );
    let text = ward.run(&["repair", "false-index", "--apply"]).text(0);
    assert_eq!(
        text,
        format!("false-index: {index}: removed: the next call rebuilds it\n")
    );
    let faults = ward.faults();
    assert!(
        !faults.iter().any(|(kind, _)| kind == "false-index"),
        "{faults:?}"
    );
}

#[test]
fn two_containers_with_one_address() {
    for (net, kind) in [("10.211.6", DISK), ("10.211.7", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        let two = container("c2");
        ward.stage.add(&two);
        let _inhabitant = Inhabitant::of(&two);
        assert_eq!(ward.faults(), []);
        two.ip(&format!("address add {net}.2/24 dev eth0"));
        let kinds: Vec<_> = ward.faults().into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["duplicate-address"]);
        two.ip(&format!("address del {net}.2/24 dev eth0"));
        assert_eq!(ward.faults(), []);
    }
}

// The lease must not be released while the address is in use: a third container would get it.
#[test]
fn a_dead_lease_whose_address_another_container_has() {
    for (net, kind) in [("10.211.25", DISK), ("10.211.26", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        let dead = container("c2");
        ward.stage.add(&dead);
        dead.ip("link delete eth0");
        let network = ward.stage.network();
        let one = &ward.one;
        let rename = |from: &str, to: &str| {
            one.ip(&format!("link set {from} down"));
            one.ip(&format!("link set {from} name {to}"));
            one.ip(&format!("link set {to} up"));
        };
        rename("eth0", "eth1");
        one.ip(&format!("address add {net}.3/24 dev eth1"));
        let before = ward.stage.holdings();
        ward.find("address-of-another", &format!("{net}.3 in {network}"));
        let nobody = ward
            .stage
            .list(r#"[{"containerID": "c1", "ifname": "eth0"}]"#);
        let text = ward.run(&["gc", "--from", &nobody, "--apply"]).text(0);
        assert!(
            text.contains(&format!("  unclear: {net}.3 is on eth1 in /")),
            "{text}"
        );
        assert_eq!(ward.stage.holdings(), before);

        one.ip(&format!("address del {net}.3/24 dev eth1"));
        rename("eth1", "eth0");
        ward.mend("dead-lease", &format!("{net}.3 of c2 eth0 in {network}"));
    }
}

#[test]
fn an_address_in_use_that_no_lease_records() {
    for (net, kind) in [("10.211.30", DISK), ("10.211.31", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        let network = ward.stage.network();
        let address = format!("{net}.2");
        // Somebody wants to be rid of dead leases.
        let networks = Path::new("/var/lib/cni/networks");
        let remove = || match kind.backend {
            "db" => fs::remove_file(networks.join(".addresses.db")),
            _ => fs::remove_dir_all(networks.join(&network)),
        };
        ward.stage.node.enter(remove).unwrap();
        ward.mend("unrecorded-address", &format!("{address} in {network}"));
        let two = container("c2");
        let result = ward.stage.add(&two);
        assert_ne!(result["ips"][0]["address"], format!("{address}/24"));
        ward.stage.del(&two);
    }
    // A macvlan is found by its alias.
    let Some(stage) = Stage::with_delegate(DISK, "10.211.34", "macvlan") else {
        return;
    };
    let ward = Ward::on(stage);
    ward.remove(ward.network_file("10.211.34.2"));
    let subject = format!("10.211.34.2 in {}", ward.stage.network());
    let found = vec![("unrecorded-address".to_owned(), subject.clone())];
    assert_eq!(ward.faults(), found);
    let text = ward.run(&["repair", "--apply"]).text(0);
    assert_eq!(text, format!("unrecorded-address: {subject}: recorded\n"));
    assert_eq!(ward.faults(), []);

    // An empty file does not record an address either, and the repair of one fault ends both.
    let Some(ward) = Ward::new(DISK, "10.211.32") else {
        return;
    };
    let file = ward.network_file("10.211.32.2");
    ward.write(&file, "");
    let kinds: Vec<_> = ward.faults().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["unrecorded-address", "garbled-address-file"]);
    let text = ward.run(&["repair", "--apply"]).text(0);
    assert!(
        text.ends_with(": it has an owner by now, and was left alone\n"),
        "{text}"
    );
    assert_eq!(ward.faults(), []);
    ward.stage.check(&ward.one);
}

#[test]
fn a_repair_does_not_depend_on_its_reader() {
    let Some(ward) = Ward::new(DISK, "10.211.33") else {
        return;
    };
    for address in ["10.211.33.7", "10.211.33.8", "10.211.33.9"] {
        ward.write(ward.network_file(address), "");
    }
    let twill = binaries::plugin("twill");
    let command = format!("{} repair --apply > /dev/full", twill.display());
    let run = || Command::new("sh").args(["-c", &command]).output();
    let output = ward.stage.node.enter(run).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "twill: cannot write to standard output: No space left on device (os error 28)\n"
    );
    assert_eq!(ward.faults(), []);
}

#[test]
fn a_damaged_database() {
    let Some(ward) = Ward::new(DB, "10.211.15") else {
        return;
    };
    let file = "/var/lib/cni/networks/.addresses.db";
    let intact = ward.stage.node.enter(|| fs::read(file)).unwrap();
    ward.write(file, "");
    let kinds: Vec<_> = ward.faults().into_iter().map(|(kind, _)| kind).collect();
    assert!(kinds.contains(&"damaged-database".to_owned()), "{kinds:?}");
    ward.stage.node.enter(|| fs::write(file, intact)).unwrap();
    assert_eq!(ward.faults(), []);
}

#[test]
fn a_range_that_is_nearly_exhausted() {
    let Some(ward) = Ward::new(DISK, "10.211.16") else {
        return;
    };
    // Of 253 addresses, 228 are 90 %.
    for number in 3..=229 {
        ward.write(
            ward.network_file(&format!("10.211.16.{number}")),
            "c1\r\neth0",
        );
    }
    let network = ward.stage.network();
    let range = format!("10.211.16.1-10.211.16.254 in {network}");
    let is_nearly = || {
        let nearly = ("range-nearly-exhausted".to_owned(), range.clone());
        ward.faults().contains(&nearly)
    };
    assert!(is_nearly());
    let moved = ward.stage.twill(&["convert", "db", &network]).text(0);
    assert!(moved.starts_with("moved 228 addresses"), "{moved}");
    assert!(is_nearly());
    let moved = ward.stage.twill(&["convert", "disk", &network]).text(0);
    assert!(moved.starts_with("moved 228 addresses"), "{moved}");
    ward.remove(ward.network_file("10.211.16.229"));
    assert!(!is_nearly());
}
