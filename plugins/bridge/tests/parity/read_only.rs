//! A node whose kernel settings cannot be written: `/proc/sys` is mounted read-only, as in many
//! containers that run containers themselves.

use std::process::Command;

use serde_json::json;

use crate::support::conf::{BRIDGE, GATEWAY, GATEWAY6, dual_stack};
use crate::support::lab::{Container, IP_FORWARD, IPV6_FORWARD, Lab};
use crate::support::side::{both, ours};
use crate::support::traffic::assert_reaches;

both!(correct_settings_need_no_write);

ours!(
    an_optional_setting_that_cannot_be_written_is_logged,
    a_required_setting_that_cannot_be_written_is_an_error
);

#[track_caller]
fn make_read_only(lab: &Lab) {
    for args in ["--bind /proc/sys /proc/sys", "-o remount,ro,bind /proc/sys"] {
        let mut mount = Command::new("mount");
        mount.args(args.split(' '));
        let output = lab.node.enter(|| mount.output()).unwrap();
        assert!(output.status.success(), "mount {args}: {output:?}");
    }
}

/// The node forwards already, and IPv6 is on everywhere.
fn correct_settings_need_no_write(lab: &Lab) {
    for path in [IP_FORWARD, IPV6_FORWARD] {
        lab.node.write(path, "1");
    }
    make_read_only(lab);
    let (conf, a) = (
        dual_stack(json!({ "isDefaultGateway": true })),
        Container::new("a"),
    );
    let result = lab.add(&a, &conf);
    let b = Container::new("b");
    lab.add(&b, &conf);
    for to in [GATEWAY, GATEWAY6, "10.1.1.3", "fd00:1::3"] {
        assert_reaches(&a, to);
    }
    lab.check(&a, &conf, &result).silent();
    lab.del(&a, &conf);
    lab.del(&b, &conf);
    assert_eq!(lab.taken(), [""; 0]);
}

fn an_optional_setting_that_cannot_be_written_is_logged(lab: &Lab) {
    for path in [IP_FORWARD, IPV6_FORWARD] {
        lab.node.write(path, "1");
    }
    make_read_only(lab);
    let container = Container::new("a");
    let call = lab.call("ADD", &container, &dual_stack(json!({ "isGateway": true })));
    let outcome = lab.node.run(&call.env("CNI_LOG", "info"));
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let log = outcome.stderr_text();
    for setting in [
        "ipv4/conf/eth0/arp_notify",
        "ipv6/conf/eth0/ndisc_notify",
        "ipv6/conf/eth0/accept_dad",
        "ipv6/conf/eth0/keep_addr_on_down",
        "ipv6/conf/cni0/accept_ra",
    ] {
        assert!(log.contains(setting), "{setting}: {log}");
    }
    assert_reaches(&container, GATEWAY6);
}

/// The failed ADD leaves nothing.
fn a_required_setting_that_cannot_be_written_is_an_error(lab: &Lab) {
    make_read_only(lab);
    let conf = dual_stack(json!({ "isGateway": true }));
    let fails = |container: &Container, setting: &str| {
        let outcome = lab.node.run(&lab.call("ADD", container, &conf));
        let failure = outcome.failure();
        assert!(failure.msg.contains(setting), "{failure:?}");
        assert!(failure.msg.contains("Read-only file system"), "{failure:?}");
        assert_eq!(container.link_names(), ["lo"]);
        assert_eq!(lab.taken(), [""; 0]);
        assert!(lab.find_link(BRIDGE).is_none());
    };
    let container = Container::new("a");
    fails(&container, "/proc/sys/net/ipv4/ip_forward");
    container.set("ipv6/conf/default/disable_ipv6", "1");
    fails(&container, "/proc/sys/net/ipv6/conf/eth0/disable_ipv6");
}
