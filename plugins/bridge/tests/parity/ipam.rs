//! The order of calls of the IPAM plugin and changes of the link.

use serde_json::{Value, json};
use testkit::ScriptedDelegate;

use crate::support::conf::{layer2, with};
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;

ours!(
    ipam_releases_while_the_link_exists,
    the_link_is_removed_if_ipam_fails,
    a_failed_add_is_released_while_the_link_exists,
    a_killed_host_local_releases_while_the_link_exists,
);

fn conf() -> Value {
    layer2(json!({ "ipam": { "type": "dhcp" } }))
}

const RESULT: &str = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.1.1.7/24"}]}"#;

// An IPAM plugin that releases an address by a packet, such as `dhcp`, needs the link.
fn ipam_releases_while_the_link_exists(lab: &Lab) {
    let ipam = lab.install("dhcp");
    ipam.on("ADD").stdout(RESULT).record_links();
    ipam.on("DEL").record_links();
    let container = Container::new("a");
    let result = lab.add(&container, &conf());
    lab.del(&container, &with(conf(), json!({ "prevResult": result })));
    let calls = ipam.calls();
    let seen: Vec<(&str, &[String])> = calls
        .iter()
        .map(|call| (call.command.as_str(), call.links.as_slice()))
        .collect();
    let links = ["lo".to_owned(), "eth0".to_owned()];
    assert_eq!(seen, [("ADD", &links[..]), ("DEL", &links[..])]);
    assert_eq!(container.link_names(), ["lo"]);
}

fn the_link_is_removed_if_ipam_fails(lab: &Lab) {
    let ipam = lab.install("dhcp");
    ipam.on("ADD").stdout(RESULT);
    let error = r#"{"code":100,"msg":"no daemon"}"#;
    ipam.on("DEL").stdout(error).exit(1);
    let container = Container::new("a");
    lab.add(&container, &conf());
    let outcome = lab.node.run(&lab.call("DEL", &container, &conf()));
    assert!(outcome.failure().msg.contains("no daemon"), "{outcome}");
    assert_eq!(container.link_names(), ["lo"]);
    ipam.on("DEL").reset();
    lab.del(&container, &conf());
}

fn a_failed_add_is_released_while_the_link_exists(lab: &Lab) {
    let ipam = lab.install("dhcp");
    let route = r#""routes":[{"dst":"10.9.0.0/16","gw":"192.0.2.1"}]"#;
    let result = RESULT.replace("}]}", &format!("}}],{route}}}"));
    ipam.on("ADD").stdout(&result);
    ipam.on("DEL").record_links();
    let container = Container::new("a");
    lab.add_fails(&container, &conf());
    let calls = ipam.calls();
    let last = calls.last().unwrap();
    assert_eq!(last.command, "DEL");
    assert!(last.links.contains(&"eth0".to_owned()), "{last:?}");
    assert_eq!(container.link_names(), ["lo"]);
}

/// A killed host-local may have allocated an address. It gets its DEL while the link exists,
/// because the link keeps off another ADD of the attachment, which would lose its address. An
/// address of the link is released after the link.
fn a_killed_host_local_releases_while_the_link_exists(lab: &Lab) {
    let ipam = ScriptedDelegate::new("host-local");
    ipam.on("DEL").record_links();
    let container = Container::new("a");
    let conf = layer2(json!({ "ipam": { "type": "host-local" } }));
    let add = || {
        let call = lab.call("ADD", &container, &conf).paths([ipam.dir()]);
        lab.node.run(&call).failure();
        assert_eq!(container.link_names(), ["lo"]);
        let last = ipam.calls().pop().unwrap();
        assert_eq!(last.command, "DEL");
        last.links
    };
    ipam.on("ADD").kill(9);
    assert_eq!(add(), ["lo", "eth0"]);
    let route = json!({ "dst": "10.9.0.0/16", "gw": "172.16.0.1" });
    let ips = json!([{ "address": "10.1.1.7/24" }]);
    let answer = json!({ "cniVersion": "1.0.0", "ips": ips, "routes": [route] });
    ipam.on("ADD").reset().stdout(answer.to_string());
    assert_eq!(add(), ["lo"]);
}
