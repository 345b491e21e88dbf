//! Without IPAM, the container only gets a link.

use serde_json::{Value, json};

use crate::support::conf::{BRIDGE, layer2};
use crate::support::lab::{Container, Lab};
use crate::support::side::both;
use crate::support::traffic::assert_reaches;

both!(
    up_and_without_addresses,
    addresses_of_the_container_itself_stay,
    versions_before_0_3_0_are_refused,
);

fn up_and_without_addresses(lab: &Lab) {
    for (id, ipam) in [
        ("a", Value::Null),
        ("b", json!({})),
        ("c", json!({ "type": "" })),
    ] {
        let container = Container::new(id);
        let conf = layer2(json!({ "ipam": ipam, "isDefaultGateway": true, "ipMasq": true }));
        let result = lab.add(&container, &conf);
        assert_eq!(result.get("ips"), None);
        assert_eq!(result.get("routes"), None);
        let eth0 = container.link("eth0");
        assert!(eth0.is_up(), "{eth0:?}");
        assert_eq!(eth0.addresses(), [""; 0]);
        let port = lab.link(result["interfaces"][1]["name"].as_str().unwrap());
        assert_eq!(port.port("state"), "forwarding");
        assert_eq!(container.routes(), [""; 0]);
        lab.del(&container, &conf);
        assert_eq!(container.link_names(), ["lo"]);
        lab.del(&container, &conf);
    }
    assert_eq!(lab.link(BRIDGE).addresses(), [""; 0]);
    assert_eq!(lab.ruleset(), "");
    assert_eq!(lab.node.list("/var/lib/cni"), [""; 0]);
}

fn addresses_of_the_container_itself_stay(lab: &Lab) {
    let (a, b) = (Container::new("a"), Container::new("b"));
    for (container, address) in [(&a, "192.0.2.1/24"), (&b, "192.0.2.2/24")] {
        lab.add(container, &layer2(json!({})));
        container.ip(&format!("address add {address} dev eth0"));
    }
    assert_reaches(&a, "192.0.2.2");
    assert_reaches(&b, "192.0.2.1");
}

/// Results of these versions need an address.
fn versions_before_0_3_0_are_refused(lab: &Lab) {
    for version in ["0.1.0", "0.2.0"] {
        lab.add_fails(
            &Container::new(version),
            &layer2(json!({ "cniVersion": version })),
        );
    }
}
