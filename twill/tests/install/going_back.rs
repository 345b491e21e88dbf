//! Back to the Go plugins with running containers: what they cannot read or remove is converted.

use std::fs;

use serde_json::{Value, json};
use testkit::requirements::require_reference;
use testkit::{Container, Node, conf, traffic};

use crate::needs;
use crate::support::{GO, ask, binary, call, node_of_go, serve, shell};

/// A node with the Go plugins in `/opt/cni/bin`, and Twill's over them.
fn upgraded() -> Option<Node> {
    let node = node_of_go()?;
    needs::twill(&node, &["install"]);
    Some(node)
}

/// Adds a container by `bridge`, with these keys, and maps the node's port 8080 to its port 80 by
/// `portmap`, with those. Returns both configurations.
fn add_with_port(
    node: &Node,
    container: &Container,
    of_bridge: Value,
    of_portmap: Value,
) -> (Value, Value) {
    let bridge = conf::of("bridge", json!({ "bridge": "cni0" }));
    let bridge = conf::with(bridge, conf::host_local(&[conf::SUBNET]));
    let bridge = conf::with(bridge, of_bridge);
    let result = node
        .run(&call("bridge", "ADD", container, &bridge))
        .success();
    let ports = json!({ "portMappings": [
        { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }
    ] });
    let keys = json!({ "prevResult": result, "runtimeConfig": ports });
    let portmap = conf::with(conf::of("portmap", keys), of_portmap);
    node.run(&call("portmap", "ADD", container, &portmap))
        .success();
    (bridge, portmap)
}

#[test]
fn masquerading_and_port_maps_of_running_containers_become_the_go_plugins() {
    let Some(node) = upgraded() else { return };
    let container = Container::new("c1");
    let keys = json!({ "isGateway": true, "ipMasq": true });
    let (bridge, portmap) = add_with_port(&node, &container, keys, json!({}));
    serve(&container);
    assert_eq!(ask(&node, 8080), "c1");

    let dry = needs::twill(&node, &["uninstall", "--dry-run"]);
    assert!(
        dry.contains("rules for eth0 of c1 in net: would become the Go plugins'\n"),
        "{dry}"
    );
    let tables = shell(&node, "nft list tables");
    assert!(tables.contains("twill_masquerade") && tables.contains("twill_portmap"));

    let printed = needs::twill(&node, &["uninstall"]);
    for line in [
        "rules for eth0 of c1 in net: are now the Go plugins'",
        "table ip twill_masquerade: removed",
        "table ip twill_portmap: removed",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{printed}");
    }
    // The Go plugins guard nothing.
    assert_eq!(left(&printed), [GUARD]);
    assert_eq!(route_localnet(&node), "1");
    assert!(
        raw(&node).contains("-d 127.0.0.0/8 ! -i lo"),
        "{}",
        raw(&node)
    );
    let leases = node.list("/var/lib/cni/networks");
    assert_eq!(leases, [conf::NETWORK]);
    assert_eq!(node.list("/opt/cni/bin"), GO);
    assert!(!shell(&node, "nft list tables").contains("twill"));
    let rules = shell(&node, "iptables -t nat -S");
    for part in ["-j MASQUERADE", "CNI-DN-", "-A POSTROUTING -s 10.1.1.2/32"] {
        assert!(rules.contains(part), "{part}: {rules}");
    }
    assert_eq!(ask(&node, 8080), "c1");

    // The Go plugins remove what is theirs now, at the first DEL.
    node.run(&call("portmap", "DEL", &container, &portmap))
        .silent();
    node.run(&call("bridge", "DEL", &container, &bridge))
        .silent();
    let rules = shell(&node, "iptables -t nat -S");
    assert!(
        !rules.contains("CNI-DN-") && !rules.contains("MASQUERADE -"),
        "{rules}"
    );
    assert!(!rules.contains("10.1.1.2"), "{rules}");
    // Once more: nobody needs the guard.
    let nothing = "/opt/cni/bin: nothing to remove\n/usr/lib/cni: nothing to remove\n";
    let guard = "rule of iptables for 127.0.0.0/8 in the table raw";
    assert_eq!(
        needs::twill(&node, &["uninstall", "--dry-run"]),
        format!("{nothing}{guard}: would be removed\n")
    );
    assert_eq!(
        needs::twill(&node, &["uninstall"]),
        format!("{nothing}{guard}: removed\n")
    );
    assert_eq!(route_localnet(&node), "0");
    assert_eq!(raw(&node), "-P PREROUTING ACCEPT\n");
    assert_eq!(needs::twill(&node, &["uninstall"]), nothing);
}

/// Plugins read keys without regard to case, and `null` as no value.
#[test]
fn port_maps_with_keys_that_change_the_rules_stay_as_they_are() {
    let Some(node) = upgraded() else { return };
    let container = Container::new("c1");
    let (keys, of_portmap) = (json!({ "isGateway": true }), json!({ "masqAll": true }));
    add_with_port(&node, &container, keys, of_portmap);
    serve(&container);
    let list = |keys: &str| {
        let list = format!(
            r#"{{"cniVersion": "1.0.0", "name": "{}", "plugins": [
                {{"type": "bridge", "bridge": "cni0"}}, {{"type": "portmap", {keys}}}]}}"#,
            conf::NETWORK
        );
        node.write("/etc/cni/net.d/10-net.conflist", list);
    };
    list(r#""MASQALL": true"#);
    let printed = needs::twill(&node, &["uninstall"]);
    assert_eq!(
        left(&printed),
        [
            "left: rules for eth0 of c1 in net: the Go plugin has no equal of portmap's keys in \
             the network list",
            "left: table ip twill_portmap, which a container needs: repeat `twill uninstall` once \
             it is gone, or `nft delete table ip twill_portmap`",
        ]
    );
    assert_eq!(ask(&node, 8080), "c1");
    list(r#""masqAll": null"#);
    let printed = needs::twill(&node, &["uninstall", "--dry-run"]);
    assert!(
        printed.contains("rules for eth0 of c1 in net: would become the Go plugins'\n"),
        "{printed}"
    );
}

#[test]
fn rules_without_an_address_are_converted_or_removed() {
    let Some(node) = upgraded() else { return };
    let [running, gone] = ["c1", "c2"].map(Container::new);
    for container in [&running, &gone] {
        let keys = json!({ "isGateway": true, "ipMasq": true });
        add_with_port(&node, container, keys, json!({}));
    }
    // As IPAM plugins other than host-local have it.
    shell(&node, "rm /var/lib/cni/networks/*/10.1.1.*");
    gone.sandbox.ip("link del eth0");
    let printed = needs::twill(&node, &["uninstall"]);
    for line in [
        "rules for eth0 of c1 in net: are now the Go plugins'",
        "rules for eth0 of c2 in net: removed, the container is gone",
        "table ip twill_masquerade: removed",
        "table ip twill_portmap: removed",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{printed}");
    }
    let rules = shell(&node, "iptables -t nat -S");
    assert!(rules.contains("-A POSTROUTING -s 10.1.1.2/32"), "{rules}");
    assert!(!rules.contains("10.1.1.3"), "{rules}");
}

#[test]
fn nothing_of_a_node_without_containers_is_left() {
    let Some(node) = upgraded() else { return };
    let container = Container::new("c1");
    let keys = json!({ "isGateway": true, "ipMasq": true, "macspoofchk": true });
    let (bridge, portmap) = add_with_port(&node, &container, keys, json!({}));
    node.run(&call("portmap", "DEL", &container, &portmap))
        .silent();
    node.run(&call("bridge", "DEL", &container, &bridge))
        .silent();
    assert_eq!(route_localnet(&node), "1");
    let printed = needs::twill(&node, &["uninstall"]);
    assert_eq!(left(&printed), [""; 0]);
    assert_eq!(route_localnet(&node), "0");
    assert_eq!(shell(&node, "nft list ruleset"), "");
    assert_eq!(node.list("/var/lib/cni/networks"), [conf::NETWORK]);
    let network = format!("/var/lib/cni/networks/{}", conf::NETWORK);
    assert_eq!(node.list(network), ["last_reserved_ip.0", "lock"]);
    assert_eq!(node.list("/opt/cni/bin"), GO);
}

#[test]
fn the_go_plugin_removes_the_ifb_of_a_running_container() {
    let Some(reference) = require_reference("bandwidth") else {
        return;
    };
    let reference = fs::read(reference).unwrap();
    let Some(node) = node_of_go() else { return };
    node.write("/opt/cni/bin/bandwidth", reference);
    shell(&node, "chmod 755 /opt/cni/bin/bandwidth");
    needs::twill(&node, &["install"]);
    let bridge = conf::of("bridge", json!({ "bridge": "cni0", "isGateway": true }));
    let bridge = conf::with(bridge, conf::host_local(&[conf::SUBNET]));
    let container = Container::new("c1");
    let result = node
        .run(&call("bridge", "ADD", &container, &bridge))
        .success();
    let limit = json!({ "egressRate": 8_000_000, "egressBurst": 800_000 });
    let bandwidth = conf::with(
        conf::of("bandwidth", limit),
        json!({ "prevResult": result }),
    );
    node.run(&call("bandwidth", "ADD", &container, &bandwidth))
        .success();
    let ifbs = |node: &Node| shell(node, "ip -br link show type ifb");
    assert!(ifbs(&node).starts_with("ifb"), "{}", ifbs(&node));

    let printed = needs::twill(&node, &["uninstall"]);
    assert!(
        printed.contains(", as the Go bandwidth finds it\n"),
        "{printed}"
    );
    let now = ifbs(&node);
    assert!(now.starts_with("bwp") && now.contains(",UP,"), "{now}");
    assert_eq!(now.lines().count(), 1, "{now}");
    traffic::assert_reaches(&container, conf::GATEWAY);
    node.run(&call("bandwidth", "DEL", &container, &bandwidth))
        .silent();
    assert_eq!(ifbs(&node), "");
}

/// As on a node of k3s, whose directories are its own.
#[test]
fn variables_name_other_directories() {
    let Some(node) = node_of_go() else { return };
    let (bin, lists) = ("/run/k3s/data/cni", "/run/k3s/etc/cni/net.d");
    shell(
        &node,
        &format!("mkdir -p {bin} {lists}; mv /opt/cni/bin/* {bin}; rmdir /opt/cni/bin"),
    );
    node.write(
        format!("{lists}/10-flannel.conflist"),
        r#"{"cniVersion": "1.1.0", "name": "cbr0", "plugins": [{"type": "flannel"}]}"#,
    );
    let binary = binary();
    let twill = |words: &str| {
        let binary = binary.display();
        shell(
            &node,
            &format!("CNI_PATH={bin} NETCONFPATH={lists} {binary} {words}"),
        )
    };
    let printed = twill("install");
    assert!(
        printed.starts_with(&format!("{bin}/bandwidth: installed\n")),
        "{printed}"
    );
    assert_eq!(node.list(bin).len(), 9 + GO.len());
    let printed = twill("uninstall");
    assert_eq!(node.list(bin), GO);
    let line = format!(
        "needed: {lists}/10-flannel.conflist without the version 1.1.0, which bridge, host-local \
            would refuse\n"
    );
    assert!(printed.ends_with(&line), "{printed}");
}

#[test]
fn a_list_that_the_go_plugins_refuse_is_reported() {
    let Some(node) = upgraded() else { return };
    let path = "/etc/cni/net.d/10-flannel.conflist";
    let list = |versions: &str| {
        format!(
            r#"{{"cniVersion": "1.0.0", "cniVersions": [{versions}], "name": "cbr0", "plugins": [
                {{"type": "flannel"}}, {{"type": "portmap"}}]}}"#
        )
    };
    node.write(path, list(r#""1.0.0""#));
    let printed = needs::twill(&node, &["uninstall", "--dry-run"]);
    assert!(!printed.contains("needed: "), "{printed}");
    node.write(path, list(r#""1.0.0", "1.1.0""#));
    let line = format!(
        "needed: {path} without the version 1.1.0, which bridge, host-local, portmap would refuse\n"
    );
    for words in [&["uninstall", "--dry-run"][..], &["uninstall"]] {
        let printed = needs::twill(&node, words);
        assert!(printed.ends_with(&line), "{printed}");
    }
}

#[test]
fn addresses_in_a_database_become_files_before_the_go_plugins_allocate() {
    let Some(node) = upgraded() else { return };
    let keys = json!({ "bridge": "cni0", "isGateway": true });
    let bridge = conf::with(conf::of("bridge", keys), conf::host_local(&[conf::SUBNET]));
    let with_database = conf::with(bridge.clone(), json!({ "ipam": { "backend": "db" } }));
    let [first, second] = ["c1", "c2"].map(Container::new);
    let add = |container: &Container, conf: &Value| {
        let result = node.run(&call("bridge", "ADD", container, conf)).success();
        result["ips"][0]["address"].as_str().unwrap().to_owned()
    };
    assert_eq!(add(&first, &with_database), "10.1.1.2/24");
    let printed = needs::twill(&node, &["uninstall"]);
    assert!(
        printed.starts_with("/opt/cni/bin/bridge: replaced by"),
        "{printed}"
    );
    assert!(
        printed.contains(
            "addresses of net: are now files; remove \"backend\": \"db\" from its ipam\n"
        ),
        "{printed}"
    );
    assert_eq!(
        node.read(format!("/var/lib/cni/networks/{}/10.1.1.2", conf::NETWORK)),
        "c1\r\neth0"
    );
    // The Go plugin ignores the key.
    assert_eq!(add(&second, &with_database), "10.1.1.3/24");
    for container in [&first, &second] {
        node.run(&call("bridge", "DEL", container, &bridge))
            .silent();
    }
}

#[test]
fn state_that_only_twill_supports_is_left_and_named() {
    let Some(node) = upgraded() else { return };
    let keys = json!({ "bridge": "cni0", "macspoofchk": true });
    let bridge = conf::with(conf::of("bridge", keys), conf::host_local(&[conf::SUBNET]));
    let container = Container::new("c1");
    node.run(&call("bridge", "ADD", &container, &bridge))
        .success();
    node.write("/var/lib/cni/flannel/.attachments/c1:net1", "{}");
    let printed = needs::twill(&node, &["uninstall"]);
    for line in [
        "left: rules for eth0 of c1 in net: only Twill's tables hold it to its MAC; they go when it is gone",
        "left: table bridge twill_macspoofchk, which a container needs: repeat `twill uninstall` once it is gone, or `nft delete table bridge twill_macspoofchk`",
        "left: /var/lib/cni/flannel/.attachments/c1:net1, a further attachment, whose address the Go flannel does not release",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{printed}");
    }
    assert!(shell(&node, "nft list tables").contains("twill_macspoofchk"));
}

/// The sysctl that lets the node's 127.0.0.1 reach host ports.
fn route_localnet(node: &Node) -> String {
    shell(node, "cat /proc/sys/net/ipv4/conf/cni0/route_localnet")
        .trim()
        .to_owned()
}

/// The rules of the table `raw`, where the backend `iptables` guards the loopback address.
fn raw(node: &Node) -> String {
    shell(node, "iptables -t raw -S PREROUTING")
}

/// The line about the guard of the loopback address, while a container has a host port.
const GUARD: &str = "left: rule of iptables for 127.0.0.0/8 in the table raw, which keeps \
    containers off the node's own services while host ports, or others, need route_localnet: \
    repeat `twill uninstall` once nothing does";

/// The lines about what is left.
fn left(printed: &str) -> Vec<&str> {
    let lines = printed.lines();
    lines.filter(|line| line.starts_with("left: ")).collect()
}
