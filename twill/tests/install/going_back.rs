//! Back to the Go plugins with running containers: what they cannot read or remove is converted.

use serde_json::{Value, json};
use testkit::{Container, Node, conf};

use crate::needs;
use crate::support::{GO, ask, call, node_of_go, serve, shell};

/// A node with the Go plugins in `/opt/cni/bin`, and Twill's over them.
fn upgraded() -> Option<Node> {
    let node = node_of_go()?;
    needs::twill(&node, &["install"]);
    Some(node)
}

#[test]
fn masquerading_and_port_maps_of_running_containers_become_the_go_plugins() {
    let Some(node) = upgraded() else { return };
    let keys = json!({ "bridge": "cni0", "isGateway": true, "ipMasq": true });
    let bridge = conf::with(conf::of("bridge", keys), conf::host_local(&[conf::SUBNET]));
    let container = Container::new("c1");
    let result = node
        .run(&call("bridge", "ADD", &container, &bridge))
        .success();
    let ports = json!({ "portMappings": [
        { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }
    ] });
    let keys = json!({ "prevResult": result, "runtimeConfig": ports });
    let portmap = conf::of("portmap", keys);
    node.run(&call("portmap", "ADD", &container, &portmap))
        .success();
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
    assert!(!printed.contains("left: "), "{printed}");
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
    // Once more: nothing is left to do.
    assert_eq!(
        needs::twill(&node, &["uninstall"]),
        "/opt/cni/bin: nothing to remove\n/usr/lib/cni: nothing to remove\n"
    );
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
