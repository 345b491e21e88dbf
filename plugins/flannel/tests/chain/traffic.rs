//! Packets from a container to itself.

use std::process::Command;

use testkit::traffic::{assert_answered, pings, send_to_self_by_wire};

use crate::lab::{Container, Lab, netconf};
use crate::lease::ONLY_IPV4;

/// A container reaches itself through the bridge and back through the same port, as when the node
/// translates a service's address to the container's.
#[test]
fn a_container_reaches_itself_through_its_port() {
    let lease = ONLY_IPV4;
    let Some(lab) = Lab::new(&lease) else { return };
    let container = Container::new("a");
    let result = lab.add(&container, &netconf("1.0.0"));
    let first = lease.host(2).remove(0);
    let second = lease.host(9).remove(0);
    send_to_self_by_wire(&container, &first, &second);
    let ping = ["-I", &first, &second];
    assert_answered(&container, &ping);

    // Without hairpin mode the packets do not come back, so they do leave the container.
    let veth = result["interfaces"][1]["name"].as_str().unwrap();
    let hairpin = |mode| {
        let mut bridge = Command::new("bridge");
        bridge.args(["link", "set", "dev", veth, "hairpin", mode]);
        let output = lab.node.enter(|| bridge.output()).unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    hairpin("off");
    assert!(!pings(&container, &ping));
    hairpin("on");
    assert_answered(&container, &ping);
}
