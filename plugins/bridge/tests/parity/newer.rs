//! Features that came after the Go plugin 1.1.1. The expectations are those of its version 1.9.

use std::path::Path;

use serde_json::{Value, json};

use crate::results::interfaces;
use crate::support::conf::{GATEWAY, GATEWAY6, dual_stack, ipv4, layer2, with};
use crate::support::lab::{Container, Lab};
use crate::support::outside::{self, NODE, NODE6, OUTSIDE, OUTSIDE6};
use crate::support::side::ours;
use crate::support::traffic::{assert_reaches, listen_in, pings, seen_from};

ours!(
    port_isolation,
    without_the_containers_interface,
    masquerading_by_nftables_needs_no_program,
    masquerading_by_iptables,
    status,
    status_of_ipam,
    status_without_ipam,
    versions,
    check_in_1_1_0,
);

fn port_isolation(lab: &Lab) {
    let isolated = ipv4(json!({ "isGateway": true, "portIsolation": true }));
    let open = ipv4(json!({ "isGateway": true, "portIsolation": false }));
    let (a, b, c) = (
        Container::new("a"),
        Container::new("b"),
        Container::new("c"),
    );
    for (container, conf) in [(&a, &isolated), (&b, &isolated), (&c, &open)] {
        let result = lab.add(container, conf);
        let port = lab.link(result["interfaces"][1]["name"].as_str().unwrap());
        assert_eq!(*port.port("isolated"), conf["portIsolation"]);
        assert_reaches(container, GATEWAY);
    }
    assert_reaches(&a, "10.1.1.4");
    assert_reaches(&c, "10.1.1.3");
    assert!(!pings(&a, &["10.1.1.3"]));
    assert!(!pings(&b, &["10.1.1.2"]));
}

/// Another program will bring the interface up, for example inside a virtual machine.
fn without_the_containers_interface(lab: &Lab) {
    let conf = layer2(json!({ "disableContainerInterface": true }));
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    assert_eq!(
        result,
        json!({
            "cniVersion": "1.0.0",
            "interfaces": interfaces(lab, &container, &result),
        })
    );
    assert!(!container.link("eth0").has_flag("UP"));
    let port = lab.link(result["interfaces"][1]["name"].as_str().unwrap());
    assert!(port.has_flag("UP"));
    lab.del(&container, &conf);
    assert_eq!(container.link_names(), ["lo"]);
}

#[track_caller]
fn assert_masqueraded(lab: &Lab, conf: &Value, path: Option<&Path>) {
    let outside = outside::connect(lab);
    let container = Container::new("a");
    let mut call = lab.call("ADD", &container, conf);
    if let Some(path) = path {
        call = call.env("PATH", path);
    }
    lab.node.run(&call).success();
    let seen = |at| seen_from(listen_in(&outside), at, &container.sandbox);
    assert_eq!(seen(OUTSIDE), NODE);
    assert_eq!(seen(OUTSIDE6), NODE6);
    lab.node.run(&call.clone().command("DEL")).silent();
    let rules = lab.ruleset();
    assert!(
        !rules.contains("10.1.1.") && !rules.contains("fd00:1:"),
        "{rules}"
    );
    lab.node.run(&call.command("DEL")).silent();
}

fn masqueraded(backend: &str) -> Value {
    dual_stack(json!({
        "isDefaultGateway": true,
        "ipMasq": true,
        "ipMasqBackend": backend,
    }))
}

fn masquerading_by_nftables_needs_no_program(lab: &Lab) {
    let nothing = tempfile::tempdir().unwrap();
    assert_masqueraded(lab, &masqueraded("nftables"), Some(nothing.path()));
    // It creates no rule of iptables either.
    let rules = lab.ruleset();
    assert!(
        !rules.contains("table ip nat") && !rules.contains("CNI-"),
        "{rules}"
    );
}

fn masquerading_by_iptables(lab: &Lab) {
    let container = Container::new("i");
    let other = with(
        masqueraded("iptables"),
        json!({ "ipam": { "ranges": [[{ "subnet": "10.3.3.0/24" }], [{ "subnet": "fd00:3::/64" }]] } }),
    );
    let other = with(other, json!({ "bridge": "cni3", "name": "three" }));
    lab.add(&container, &other);
    for (program, address) in [("iptables", "10.3.3.2"), ("ip6tables", "fd00:3::2")] {
        let list = || {
            std::process::Command::new(program)
                .args(["-t", "nat", "-S"])
                .output()
        };
        let output = lab.node.enter(list).unwrap();
        let rules = String::from_utf8(output.stdout).unwrap();
        assert!(rules.contains(address), "{program}: {rules}");
        assert!(rules.contains("-j MASQUERADE"), "{program}: {rules}");
    }
    lab.del(&container, &other);
    assert_masqueraded(lab, &masqueraded("iptables"), None);
}

fn status(lab: &Lab) {
    let conf = dual_stack(json!({ "cniVersion": "1.1.0", "isGateway": true }));
    let before = lab.links().len();
    lab.node.run(&lab.call_alone("STATUS", &conf)).silent();
    assert_eq!(lab.links().len(), before);
    assert_eq!(lab.node.list("/var/lib/cni"), [""; 0]);
    let old = with(conf, json!({ "cniVersion": "1.0.0" }));
    let outcome = lab.node.run(&lab.call_alone("STATUS", &old));
    assert_eq!(outcome.failure().code, 1);
}

fn status_of_ipam(lab: &Lab) {
    let conf = ipv4(json!({
        "cniVersion": "1.1.0",
        "ipam": { "ranges": [[{ "subnet": "10.1.1.0/24", "rangeEnd": "10.1.1.2" }]] },
    }));
    let container = Container::new("a");
    lab.add(&container, &conf);
    let call = lab.call_alone("STATUS", &conf);
    let failure = lab.node.run(&call).failure();
    assert_eq!(failure.code, 50);
    assert!(failure.msg.contains("host-local"), "{failure:?}");
    assert!(
        failure.msg.contains("no IP addresses available"),
        "{failure:?}"
    );
    lab.del(&container, &conf);
    lab.node.run(&call).silent();
}

fn status_without_ipam(lab: &Lab) {
    let conf = layer2(json!({ "cniVersion": "1.1.0" }));
    lab.node.run(&lab.call_alone("STATUS", &conf)).silent();
}

fn versions(lab: &Lab) {
    let all = [
        "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0",
    ];
    let call = testkit::Invocation::new(lab.program(), "VERSION");
    assert_eq!(
        lab.node.run(&call).success(),
        json!({ "cniVersion": "1.1.0", "supportedVersions": all })
    );
}

fn check_in_1_1_0(lab: &Lab) {
    let conf = dual_stack(json!({ "cniVersion": "1.1.0", "isDefaultGateway": true }));
    let container = Container::new("a");
    let result = lab.add(&container, &conf);
    assert_reaches(&container, GATEWAY6);
    lab.check(&container, &conf, &result).silent();
    container.ip("address del 10.1.1.2/24 dev eth0");
    assert_eq!(lab.check(&container, &conf, &result).failure().code, 120);
}
