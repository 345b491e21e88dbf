//! Rules that the Go plugins have left.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::requirements::{REFERENCE_DIR, require_reference};
use testkit::{Container, Invocation};

use crate::support::{Inhabitant, container};
use crate::ward::{DISK, Ward};

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
