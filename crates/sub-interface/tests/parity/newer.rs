//! Features that came after the Go plugins 1.1.1, or that these do not have.

use serde_json::{Value, json};
use testkit::conf::{with, without};
use testkit::wire::{Container, Lab};

use crate::side::ours;

ours!(
    the_result_of_1_1_0,
    a_route_with_everything,
    a_master_in_the_container,
    without_master_the_containers_default_route_selects_it,
    an_address_can_be_used_at_once,
    gc_releases_stale_addresses,
    gc_accepts_an_ipam_plugin_without_gc,
    status,
    nothing_is_logged_by_default,
);

fn the_result_of_1_1_0(lab: &Lab) {
    let container = Container::new("a");
    let conf = lab.ipv4(json!({ "cniVersion": "1.1.0", "mtu": 1400 }));
    let result = lab.add(&container, &conf);
    let expected = json!({
        "cniVersion": "1.1.0",
        "interfaces": [{
            "name": "eth0",
            "mac": container.link("eth0").mac(),
            "mtu": 1400,
            "sandbox": container.sandbox.path().to_str().unwrap(),
        }],
        "ips": [{ "interface": 0, "address": "10.1.1.2/24", "gateway": "10.1.1.1" }],
    });
    assert_eq!(result, expected);
    lab.check(&container, &conf, &result).silent();
}

fn a_route_with_everything(lab: &Lab) {
    let container = Container::new("a");
    let route = json!({
        "dst": "10.9.0.0/16",
        "gw": "10.1.1.77",
        "mtu": 1400,
        "advmss": 1360,
        "priority": 50,
        "table": 4711,
        "scope": 0,
    });
    let conf = lab.ipv4(json!({ "cniVersion": "1.1.0", "ipam": { "routes": [route] } }));
    let result = lab.add(&container, &conf);
    assert_eq!(result["routes"][0], route);
    let seen = container
        .sandbox
        .ip_json(&["route", "show", "table", "4711"]);
    let expected = json!([{
        "dst": "10.9.0.0/16", "gateway": "10.1.1.77", "dev": "eth0", "metric": 50,
        "flags": [], "metrics": [{ "mtu": 1400, "advmss": 1360 }],
    }]);
    assert_eq!(seen, expected);
    lab.check(&container, &conf, &result).silent();
    container.ip("route del 10.9.0.0/16 table 4711");
    let failure = lab.check(&container, &conf, &result).failure();
    assert!(
        failure.msg.contains("10.9.0.0/16 via 10.1.1.77"),
        "{failure:?}"
    );
}

fn a_master_in_the_container(lab: &Lab) {
    let container = Container::new("a");
    container.ip("link add inner0 type veth peer name inner1");
    container.ip("link set inner0 up");
    let conf = lab.ipv4(json!({ "master": "inner0", "linkInContainer": true, "mtu": 1400 }));
    let result = lab.add(&container, &conf);
    let eth0 = container.link("eth0");
    assert_eq!(eth0.0["link"], "inner0", "{eth0:?}");
    assert_eq!(eth0.addresses(), ["10.1.1.2/24"]);
    lab.check(&container, &conf, &result).silent();
    lab.del(&container, &conf);
    assert_eq!(lab.taken(), [""; 0]);
    assert_eq!(container.link_names(), ["lo", "inner1", "inner0"]);
    // The node has a link with the same name, which is not the master.
    let conf = with(conf, json!({ "master": "wire0" }));
    let failure = lab.node.run(&lab.call("ADD", &container, &conf)).failure();
    assert_eq!(failure.code, 7);
    for text in ["master", "wire0", "linkInContainer"] {
        assert!(failure.msg.contains(text), "{failure:?}");
    }
}

fn without_master_the_containers_default_route_selects_it(lab: &Lab) {
    let container = Container::new("a");
    container.ip("link add inner0 type veth peer name inner1");
    container.ip("link set inner0 up");
    container.ip("link set inner1 up");
    let conf = without(lab.ipv4(json!({ "linkInContainer": true })), "master");
    let failure = lab.node.run(&lab.call("ADD", &container, &conf)).failure();
    assert!(failure.msg.contains("default route"), "{failure:?}");
    container.ip("route add default dev inner0");
    lab.add(&container, &conf);
    assert_eq!(container.link("eth0").0["link"], "inner0");
}

/// The Go plugins wait a second or two for duplicate address detection.
fn an_address_can_be_used_at_once(lab: &Lab) {
    let container = Container::new("a");
    container.set("ipv6/conf/default/accept_dad", "1");
    let ipam = lab.install("scripted");
    let ips = json!([{ "address": "fd00:1::7/64", "gateway": "fd00:1::9" }]);
    let answer = json!({ "cniVersion": "1.0.0", "ips": ips }).to_string();
    ipam.on("ADD").stdout(answer);
    let call = lab.call("ADD", &container, &lab.scripted(json!({})));
    lab.node.run(&call).success();
    assert!(!container.link("eth0").has_tentative_address());
}

fn gc(lab: &Lab, conf: &Value, valid: &[&str]) -> testkit::Outcome {
    let valid: Vec<Value> = valid
        .iter()
        .map(|id| json!({ "containerID": id, "ifname": "eth0" }))
        .collect();
    let conf = with(conf.clone(), json!({ "cni.dev/valid-attachments": valid }));
    lab.node.run(&lab.call_alone("GC", &conf))
}

fn gc_releases_stale_addresses(lab: &Lab) {
    let conf = lab.dual_stack(json!({ "cniVersion": "1.1.0" }));
    let (a, b) = (Container::new("a"), Container::new("b"));
    lab.add(&a, &conf);
    lab.add(&b, &conf);
    drop(a);
    gc(lab, &conf, &["b"]).silent();
    assert_eq!(lab.taken(), ["10.1.1.3", "fd00:1::3"]);
    b.assert_reaches("10.1.1.1");
    gc(lab, &conf, &[]).silent();
    assert_eq!(lab.taken(), [""; 0]);
    lab.del(&b, &conf);
    lab.add(&b, &conf);
    // Without a list, GC removes nothing.
    lab.node.run(&lab.call_alone("GC", &conf)).silent();
    assert_eq!(lab.taken().len(), 2);
}

fn gc_accepts_an_ipam_plugin_without_gc(lab: &Lab) {
    let ipam = lab.install("scripted");
    let unknown = r#"{"cniVersion":"1.0.0","code":4,"msg":"unknown CNI_COMMAND: GC"}"#;
    ipam.on("GC").stdout(unknown).exit(1);
    let conf = lab.scripted(json!({ "cniVersion": "1.1.0" }));
    gc(lab, &conf, &[]).silent();
    let broken = r#"{"cniVersion":"1.1.0","code":5,"msg":"disk full"}"#;
    ipam.on("GC").stdout(broken).exit(1);
    ipam.on("VERSION")
        .stdout(r#"{"cniVersion":"1.1.0","supportedVersions":["1.1.0"]}"#);
    let failure = gc(lab, &conf, &[]).failure();
    assert_eq!(failure.code, 5);
    assert!(failure.msg.contains("disk full"), "{failure:?}");
}

fn status(lab: &Lab) {
    let conf = lab.ipv4(json!({ "cniVersion": "1.1.0" }));
    let status = |conf: &Value| lab.node.run(&lab.call_alone("STATUS", conf));
    status(&conf).silent();
    status(&without(conf.clone(), "master")).silent();
    let chosen = json!({ "master": "none0", "linkInContainer": true });
    status(&with(conf.clone(), chosen)).silent();
    for (keys, code, says) in [
        (json!({ "master": "none0" }), 50, "none0"),
        (json!({ "mtu": 9000 }), 50, "9000"),
        (json!({ "mode": "x" }), 7, "mode"),
        (json!({ "ipam": { "type": "none-such" } }), 50, "none-such"),
        (
            json!({ "ipam": { "ranges": [[{ "subnet": "10.1.1.0/31" }]] } }),
            7,
            "10.1.1.0/31",
        ),
    ] {
        let outcome = status(&with(conf.clone(), keys));
        let failure = outcome.failure();
        assert_eq!(failure.code, code, "{outcome}");
        assert!(failure.msg.contains(says), "{outcome}");
    }
    lab.ip("route del default");
    let failure = status(&without(conf, "master")).failure();
    assert_eq!(failure.code, 50);
    assert!(failure.msg.contains("default route"), "{failure:?}");
}

fn nothing_is_logged_by_default(lab: &Lab) {
    let container = Container::new("a");
    let call = lab.call("ADD", &container, &lab.ipv4(json!({})));
    let outcome = lab.node.run(&call.env("CNI_LOG", "debug"));
    assert_eq!(outcome.code, Some(0));
    for text in ["eth0", "wire0", lab.kind.name] {
        assert!(outcome.stderr_text().contains(text), "{outcome}");
    }
}
