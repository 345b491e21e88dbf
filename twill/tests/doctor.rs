//! `twill doctor` and `twill repair`: each fault is seeded, found by its name, mended, and found no
//! more.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::statvfs;
use serde_json::{Value, json};
use testkit::requirements::{REFERENCE_DIR, require_reference};
use testkit::{Container, Invocation, binaries};

use support::{Inhabitant, Kind, Stage, container};

const DISK: Kind = Kind {
    flannel: true,
    backend: "disk",
};
const DB: Kind = Kind {
    flannel: true,
    backend: "db",
};

/// A node with one container that runs.
struct Ward {
    stage: Stage,
    one: Container,
    _inhabitant: Inhabitant,
}

impl Ward {
    fn new(kind: Kind, net: &str) -> Option<Self> {
        let stage = Stage::new(kind, net)?;
        let one = container("c1");
        stage.add(&one);
        let ward = Self {
            _inhabitant: Inhabitant::of(&one),
            stage,
            one,
        };
        let text = ward.run(&["doctor"]).text(0);
        assert_eq!(text, "nothing is wrong\n");
        Some(ward)
    }

    fn run(&self, words: &[&str]) -> support::Printed {
        let bin = self.stage.bin();
        let options = ["--older-than", "0s", "--path", bin.to_str().unwrap()];
        self.stage.twill(&[words, &options].concat())
    }

    /// The kinds of the faults that are found, with their subjects.
    fn faults(&self) -> Vec<(String, String)> {
        let printed = self.run(&["doctor", "--json"]).any();
        let faults: Value = serde_json::from_str(&printed).unwrap();
        let text = |fault: &Value, key: &str| fault[key].as_str().unwrap().to_owned();
        let faults = faults.as_array().unwrap().iter();
        faults
            .map(|fault| {
                for key in ["evidence", "effect", "command"] {
                    assert!(!text(fault, key).is_empty(), "{fault}");
                }
                (text(fault, "kind"), text(fault, "subject"))
            })
            .collect()
    }

    /// Asserts that this fault and no other is found, that a look changes nothing, and that it is
    /// found no more once it is mended.
    #[track_caller]
    fn mend(&self, kind: &str, subject: &str) {
        let expected = vec![(kind.to_owned(), subject.to_owned())];
        assert_eq!(self.faults(), expected);
        let text = self.run(&["repair"]).text(1);
        assert!(
            text.starts_with(&format!("{kind}: {subject}: would ")),
            "{text}"
        );
        assert!(
            text.ends_with("\nnothing was changed: add --apply\n"),
            "{text}"
        );
        assert_eq!(self.faults(), expected);
        let text = self.run(&["repair", kind, "--apply"]).text(0);
        assert!(text.starts_with(&format!("{kind}: {subject}: ")), "{text}");
        assert_eq!(self.faults(), []);
        assert_eq!(self.run(&["repair", "--apply"]).text(0), "");
        self.stage.check(&self.one);
    }

    /// Asserts that this fault and no other is found, which only a person can mend.
    #[track_caller]
    fn find(&self, kind: &str, subject: &str) {
        assert_eq!(self.faults(), [(kind.to_owned(), subject.to_owned())]);
        let text = self.run(&["repair", "--apply"]).text(1);
        assert!(
            text.starts_with(&format!("{kind}: {subject}: only you can: ")),
            "{text}"
        );
    }

    fn write(&self, path: impl AsRef<Path>, text: &str) {
        self.stage.node.write(path, text);
    }

    fn nft(&self, commands: &str) {
        let nft = || Command::new("nft").arg(commands).status();
        assert!(self.stage.node.enter(nft).unwrap().success(), "{commands}");
    }

    fn network_file(&self, name: &str) -> PathBuf {
        Path::new("/var/lib/cni/networks")
            .join(self.stage.network())
            .join(name)
    }

    fn remove(&self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        self.stage.node.enter(|| fs::remove_file(path)).unwrap();
    }
}

/// Has files below `dir` stand in for the kernel's settings, for the calling thread's mount
/// namespace.
fn stand_in_for_settings(dir: &Path) {
    for (name, value) in [
        ("bridge/bridge-nf-call-iptables", "1"),
        ("ipv4/ip_forward", "1"),
        ("ipv4/conf/all/rp_filter", "0"),
    ] {
        let file = dir.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, value).unwrap();
    }
    let none = None::<&str>;
    mount(Some(dir), "/proc/sys/net", none, MsFlags::MS_BIND, none).unwrap();
}

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
fn faults_of_the_bridge() {
    for (net, kind) in [("10.211.8", DISK), ("10.211.9", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        ward.stage
            .node
            .ip(&format!("address del {net}.1/24 dev cni0"));
        ward.mend("bridge-without-gateway", &format!("{net}.1/24 on cni0"));
        // An operator's address stays.
        ward.stage.node.ip("address add 10.199.8.1/24 dev cni0");
        assert_eq!(ward.faults(), []);
    }
}

#[test]
fn the_bridge_has_the_address_of_an_earlier_lease() {
    for (net, kind) in [("10.211.20", DISK), ("10.211.21", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        let file = "/run/flannel/subnet.env";
        let lease = ward.stage.node.read(file);
        ward.write(
            file,
            &lease.replace(&format!("{net}.1/24"), "10.210.7.1/24"),
        );
        let fault = |kind: &str, subject: &str| (kind.to_owned(), format!("{subject} on cni0"));
        let old = format!("{net}.1/24");
        assert_eq!(
            ward.faults(),
            [
                fault("bridge-without-gateway", "10.210.7.1/24"),
                fault("bridge-with-old-address", &old),
            ]
        );
        // The old address is the gateway of a container that runs.
        let text = ward.run(&["repair", "--apply"]).text(1);
        assert_eq!(
            text,
            format!(
                "bridge-without-gateway: 10.210.7.1/24 on cni0: added\n\
                 bridge-with-old-address: {old} on cni0: only you can: delete the pods or \
                 containers that use it: their successors get addresses of the present lease, and \
                 then this fault can be repaired\n"
            )
        );
        let gateway = format!("{net}.1");
        let reached = ward
            .one
            .sandbox
            .enter(|| Command::new("ping").args(["-c1", "-W5", &gateway]).output());
        assert!(reached.unwrap().status.success());
        ward.stage.del(&ward.one);
        assert_eq!(
            ward.run(&["repair", "--apply"]).text(0),
            format!("bridge-with-old-address: {old} on cni0: removed\n")
        );
        assert_eq!(ward.faults(), []);
        let addresses = ward
            .stage
            .node
            .ip_json(&["-4", "address", "show", "dev", "cni0"]);
        let addresses = addresses[0]["addr_info"].as_array().unwrap();
        let addresses: Vec<_> = addresses
            .iter()
            .map(|it| it["local"].as_str().unwrap())
            .collect();
        assert_eq!(addresses, ["10.210.7.1"]);
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
    let one = container("c1");
    stage.add(&one);
    let ward = Ward {
        _inhabitant: Inhabitant::of(&one),
        stage,
        one,
    };
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
        "twill: No space left on device (os error 28)\n"
    );
    assert_eq!(ward.faults(), []);
}

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
fn tables_that_others_have_flushed() {
    for (net, kind) in [("10.211.12", DISK), ("10.211.13", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        for damage in [
            "flush map ip twill_masquerade owners",
            "flush chain ip twill_masquerade postrouting",
            "delete table ip twill_portmap; add table ip twill_portmap",
        ] {
            ward.nft(damage);
            ward.mend("flushed-rules", "nftables");
        }
        ward.nft("flush ruleset");
        let one = format!("{net}.2 of c1 eth0 in {}", ward.stage.network());
        ward.mend("missing-masquerading", &one);
    }
}

#[test]
fn rules_of_a_container_that_is_gone() {
    for (net, kind) in [("10.211.28", DISK), ("10.211.32", DB)] {
        let Some(ward) = Ward::new(kind, net) else {
            return;
        };
        let before = ward.stage.holdings();
        let gone = container("c2");
        ward.stage.add(&gone);
        gone.ip("link delete eth0");
        ward.remove("/var/lib/cni/flannel/c2");
        ward.stage.release_addresses(&gone);
        assert_ne!(ward.stage.holdings(), before);
        let network = ward.stage.network();
        ward.mend("leftover-rules", &format!("c2 eth0 in {network}"));
        assert_eq!(ward.stage.holdings(), before);
    }
}

/// A container that the Go plugins have added to a ward's network, with a mapped port.
struct GoContainer<'a> {
    ward: &'a Ward,
    container: Container,
    _inhabitant: Inhabitant,
}

impl<'a> GoContainer<'a> {
    fn add(ward: &'a Ward, net: &str) -> Option<Self> {
        let (bridge, portmap) = (require_reference("bridge")?, require_reference("portmap")?);
        let (network, container) = (ward.stage.network(), container("c2"));
        let go = |plugin: &Path, conf: &Value| {
            let call = Invocation::attach(plugin, "ADD", &container.id);
            let call = call.netns(container.sandbox.path()).paths([REFERENCE_DIR]);
            ward.stage.node.run(&call.config(conf)).success()
        };
        let conf = json!({
            "cniVersion": "1.0.0", "name": network, "type": "bridge", "bridge": "cni0",
            "isGateway": true, "ipMasq": true,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": format!("{net}.0/24")}]]},
        });
        let result = go(&bridge, &conf);
        let mappings = json!([{"hostPort": 8009, "containerPort": 80, "protocol": "tcp"}]);
        let conf = json!({
            "cniVersion": "1.0.0", "name": network, "type": "portmap", "prevResult": result,
            "runtimeConfig": {"portMappings": mappings},
        });
        go(&portmap, &conf);
        Some(Self {
            ward,
            _inhabitant: Inhabitant::of(&container),
            container,
        })
    }

    /// Ends the container without DEL, and forgets its address, as `rm -rf
    /// /var/lib/cni/networks/*` does.
    fn end(&self, net: &str) {
        self.container.ip("link delete eth0");
        let file = self.ward.network_file(&format!("{net}.3"));
        self.ward.remove(file);
    }
}

/// The lines of the table `nat` of iptables that have a text.
fn nat_lines(ward: &Ward, text: &str) -> usize {
    let save = || Command::new("iptables-save").args(["-t", "nat"]).output();
    let rules = String::from_utf8(ward.stage.node.enter(save).unwrap().stdout).unwrap();
    rules.lines().filter(|line| line.contains(text)).count()
}

fn iptables(ward: &Ward, words: &str) {
    let words = words.split(' ');
    let run = || Command::new("iptables").args(words).status();
    assert!(ward.stage.node.enter(run).unwrap().success());
}

// The Go plugins know one store. Their rules do not depend on it.
#[test]
fn rules_that_the_go_plugins_have_left_in_iptables() {
    let net = "10.211.29";
    let Some(ward) = Ward::new(DISK, net) else {
        return;
    };
    let Some(go) = GoContainer::add(&ward, net) else {
        return;
    };
    let network = ward.stage.network();
    let rules = || nat_lines(&ward, r#"id: \"c2\""#);
    let added = rules();
    assert!(added >= 3, "{added}");
    assert_eq!(ward.faults(), []);

    go.end(net);
    ward.mend("leftover-rules", &format!("c2 in {network}"));
    assert_eq!(rules(), 0);
    assert_eq!(nat_lines(&ward, "CNI-DN-"), 0);
}

// As after a firewall that flushes the built-in chains, but not those of others.
#[test]
fn chains_of_the_go_plugins_that_nothing_leads_to() {
    let net = "10.211.33";
    let Some(ward) = Ward::new(DISK, net) else {
        return;
    };
    let Some(go) = GoContainer::add(&ward, net) else {
        return;
    };
    let network = ward.stage.network();
    iptables(&ward, "-t nat -F POSTROUTING");
    iptables(&ward, "-t nat -F CNI-HOSTPORT-DNAT");
    // The chains of a living container are no leftovers.
    assert_eq!(ward.faults(), []);
    go.end(net);
    assert!(nat_lines(&ward, "CNI-DN-") > 0);
    ward.mend("leftover-rules", &format!("c2 in {network}"));
    assert_eq!(nat_lines(&ward, r#"id: \"c2\""#), 0);
    assert_eq!(nat_lines(&ward, "CNI-DN-"), 0);

    // Nothing names the container of this chain.
    let chain = "CNI-DN-0123456789abcdef01234";
    iptables(&ward, &format!("-t nat -N {chain}"));
    let to = "-j DNAT --to-destination 10.9.9.9:80";
    iptables(&ward, &format!("-t nat -A {chain} -p tcp --dport 81 {to}"));
    iptables(&ward, &format!("-t nat -A OUTPUT -j {chain}"));
    assert_eq!(ward.faults(), []);
    iptables(&ward, &format!("-t nat -D OUTPUT -j {chain}"));
    ward.mend("leftover-rules", &format!("chain {chain} of iptables"));
    assert_eq!(nat_lines(&ward, chain), 0);
}

// The tables of newer Go plugins, as these create them.
#[test]
fn entries_of_dead_containers_in_the_go_plugins_own_tables() {
    let net = "10.211.34";
    let Some(ward) = Ward::new(DISK, net) else {
        return;
    };
    let network = ward.stage.network();
    let digits = |text: &str| {
        let script = format!("printf %s '{text}' | sha512sum");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()[..16].to_owned()
    };
    let masquerade = |address: &str, id: &str| {
        let token = format!("{}-{}", digits(&network), digits(&format!("eth0:{id}")));
        let comment = format!("{token}, net: {network}, if: eth0, id: {id}");
        ward.nft(&format!(
            "add rule inet cni_plugins_masquerade masq_checks ip saddr {address} ip daddr != \
             {net}.0/24 masquerade comment \"{comment}\""
        ));
    };
    let map_port = |address: &str, id: &str| {
        ward.nft(&format!(
            "add rule ip cni_hostport hostports tcp dport 8081 dnat to {address}:80 comment \
             \"{id}\""
        ));
    };
    ward.nft(
        "add table inet cni_plugins_masquerade; \
         add chain inet cni_plugins_masquerade masq_checks; \
         add table ip cni_hostport; add chain ip cni_hostport hostports",
    );
    let rules = |id: &str| {
        let list = || Command::new("nft").args(["list", "ruleset"]).output();
        let rules = ward.stage.node.enter(list).unwrap().stdout;
        let rules = String::from_utf8(rules).unwrap();
        let is_go = |line: &&str| line.ends_with(&format!("{id}\"")) && line.contains("comment");
        rules.lines().filter(is_go).count()
    };
    masquerade(&format!("{net}.2"), "c1");
    map_port(&format!("{net}.2"), "c1");
    assert_eq!(ward.faults(), []);

    masquerade(&format!("{net}.9"), "c9");
    map_port(&format!("{net}.9"), "c9");
    assert_eq!(rules("c9"), 2);
    ward.mend("leftover-rules", &format!("c9 eth0 in {network}"));
    assert_eq!((rules("c9"), rules("c1")), (0, 2));
    // The rule for a port alone names no network.
    map_port(&format!("{net}.9"), "c9");
    ward.mend("leftover-rules", &format!("c9 in {network}"));
    assert_eq!((rules("c9"), rules("c1")), (0, 2));
}

// The kernel's settings do not depend on the store.
#[test]
fn kernel_settings() {
    let Some(ward) = Ward::new(DISK, "10.211.14") else {
        return;
    };
    ward.write("/proc/sys/net/ipv4/ip_forward", "0");
    ward.mend("sysctl", "net/ipv4/ip_forward");
    let strict = "net/ipv4/conf/all/rp_filter";
    ward.write(Path::new("/proc/sys").join(strict), "1");
    ward.find("sysctl", strict);
    ward.write(Path::new("/proc/sys").join(strict), "2");
    assert_eq!(ward.faults(), []);
}

#[test]
fn bridged_packets_that_iptables_does_not_see() {
    let Some(ward) = Ward::new(DISK, "10.211.27") else {
        return;
    };
    let name = "net/bridge/bridge-nf-call-iptables";
    // Only the module br_netfilter has the setting: a file stands in for it.
    ward.stage.node.enter(|| {
        if !Path::new("/proc/sys").join(name).exists() {
            stand_in_for_settings(&ward.stage.directory().join("sys"));
        }
    });
    ward.write(Path::new("/proc/sys").join(name), "0");
    ward.mend("sysctl", name);
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

#[test]
fn the_output_for_people() {
    let Some(ward) = Ward::new(DISK, "10.211.18") else {
        return;
    };
    ward.write("/proc/sys/net/ipv4/ip_forward", "0");
    assert_eq!(
        ward.run(&["doctor"]).text(1),
        "sysctl: net/ipv4/ip_forward\n  \
           evidence  it is 0\n  \
           effect    the node drops what containers send to other nodes, and what comes back\n  \
           mend      twill repair sysctl --apply, or: sysctl -w net.ipv4.ip_forward=1\n\
         \n\
         1 fault\n"
    );
    let failure = ward.run(&["repair", "sysctls"]).failure();
    assert!(
        failure.starts_with("twill: \"sysctls\" is no kind of fault: unreadable, dead-lease, "),
        "{failure}"
    );
}
