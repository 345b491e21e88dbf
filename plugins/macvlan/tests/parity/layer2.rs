//! Without IPAM, the container only gets a link.

use serde_json::{Value, json};
use testkit::wire::{Container, Lab};

use crate::side::{both, ours};

both!(
    up_and_without_addresses,
    addresses_of_the_container_itself_stay,
);
ours!(a_link_names_its_owner);

fn up_and_without_addresses(lab: &Lab) {
    for (id, ipam) in [
        ("a", Value::Null),
        ("b", json!({})),
        ("c", json!({ "type": "" })),
    ] {
        let container = Container::new(id);
        let conf = lab.layer2(json!({ "ipam": ipam, "mtu": 1400 }));
        let result = lab.add(&container, &conf);
        assert_eq!(result.get("ips"), None);
        assert_eq!(result.get("routes"), None);
        let eth0 = container.link("eth0");
        assert_eq!(result["interfaces"][0]["mac"], eth0.mac());
        assert!(eth0.has_flag("UP") && eth0.has_flag("LOWER_UP"), "{eth0:?}");
        assert_eq!(eth0.addresses(), [""; 0]);
        assert_eq!((eth0.mtu(), eth0.kind()), (1400, Some("macvlan")));
        assert_eq!(container.routes_in_full(), [""; 0]);
        lab.check(&container, &conf, &result).silent();
        lab.del(&container, &conf);
        assert_eq!(container.link_names(), ["lo"]);
        lab.del(&container, &conf);
    }
    assert_eq!(lab.node.list("/var/lib/cni"), [""; 0]);
}

fn addresses_of_the_container_itself_stay(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    for (container, address) in [(&a, "192.0.2.1/24"), (&b, "192.0.2.2/24")] {
        lab.add(container, &lab.layer2(json!({})));
        container.ip(&format!("address add {address} dev eth0"));
    }
    a.assert_reaches("192.0.2.2");
    b.assert_reaches("192.0.2.1");
}

/// A DEL of another attachment with this container's namespace spares the link.
fn a_link_names_its_owner(lab: &Lab) {
    let (a, gone) = (Container::new("a"), Container::new("gone"));
    // The name may exist on the node, where older kernels look for it.
    lab.ip("link add eth0 type bridge");
    let conf = lab.layer2(json!({}));
    lab.add(&a, &conf);
    let eth0 = a.link("eth0");
    assert_eq!(eth0.0["ifalias"], "twill/net/a/eth0");
    assert!(eth0.has_flag("UP") && eth0.has_flag("LOWER_UP"), "{eth0:?}");
    let del = lab.call("DEL", &gone, &conf).netns(a.sandbox.path());
    lab.node.run(&del).silent();
    assert_eq!(a.link_names(), ["lo", "eth0"]);
    lab.del(&a, &conf);
    assert_eq!(a.link_names(), ["lo"]);
}
