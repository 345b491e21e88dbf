//! Real packets between containers, and of a container with itself.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::lab::{Container, Lab, netconf};
use crate::lease::ONLY_IPV4;

/// How long a new link may take until packets pass: IPv6 looks for duplicates of an address first.
const PATIENCE: Duration = Duration::from_secs(10);

/// An address answers to pings from inside a container.
#[track_caller]
pub(crate) fn assert_reaches(lab: &Lab, from: &Container, to: &str) {
    let until = Instant::now() + PATIENCE;
    while !pings(lab, from, &[to]) {
        let id = from.id;
        assert!(
            Instant::now() < until,
            "no answer from {to} to container {id}"
        );
    }
}

/// Whether one ping from inside a container is answered, soon.
#[track_caller]
fn pings(lab: &Lab, from: &Container, args: &[&str]) -> bool {
    let mut ping = Command::new("ping");
    ping.args(["-n", "-q", "-c1", "-W0.5"]).args(args);
    let output = lab.node.enter(|| from.sandbox.enter(|| ping.output()));
    output
        .expect("`ping` can be run (Debian package iputils-ping)")
        .status
        .success()
}

/// A container reaches a second address of its own through the bridge and back through the same port, as it does when
/// the node translates a service's address to it.
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
    assert!(pings(&lab, &container, &ping));

    // What tells that the packets did leave the container: without hairpin mode they do not come back.
    let veth = result["interfaces"][1]["name"].as_str().unwrap();
    let hairpin = |mode| {
        let mut bridge = Command::new("bridge");
        bridge.args(["link", "set", "dev", veth, "hairpin", mode]);
        let output = lab.node.enter(|| bridge.output()).unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    hairpin("off");
    assert!(!pings(&lab, &container, &ping));
    hairpin("on");
    assert!(pings(&lab, &container, &ping));
}

/// Has the kernel send what is between two addresses of the container by `eth0` instead of `lo`.
#[track_caller]
fn send_to_self_by_wire(container: &Container, first: &str, second: &str) {
    container.sandbox.enter(|| {
        for setting in ["accept_local", "rp_filter"] {
            let value = if setting == "accept_local" { "1" } else { "0" };
            for link in ["all", "eth0"] {
                fs::write(format!("/proc/sys/net/ipv4/conf/{link}/{setting}"), value).unwrap();
            }
        }
    });
    for command in [
        format!("address add {second}/24 dev eth0"),
        // What comes in is the container's own; what goes out looks into table 100 before.
        "rule add pref 10 iif eth0 lookup local".to_owned(),
        "rule add pref 20 lookup 100".to_owned(),
        "rule add pref 30 lookup local".to_owned(),
        "rule del pref 0".to_owned(),
        format!("route add {first} dev eth0 src {second} table 100"),
        format!("route add {second} dev eth0 src {first} table 100"),
    ] {
        let mut ip = Command::new("ip");
        let output = container.sandbox.command(ip.args(command.split(' ')));
        assert!(output.status.success(), "ip {command}: {output:?}");
    }
}
