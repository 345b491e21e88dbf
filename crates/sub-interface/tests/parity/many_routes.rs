//! More routes than one netlink message can carry.

use serde_json::{Value, json};
use testkit::wire::{Container, Lab};

use crate::side::ours;

ours!(all_routes_are_added, a_refused_route_rolls_all_back);

const NUMBER: u32 = 5000;

/// A result with an address and this many routes, and one more.
fn result(more: &Value) -> String {
    let destination = |number: u32| format!("10.{}.{}.0/24", 100 + number / 256, number % 256);
    let routes = (0..NUMBER).map(|number| json!({ "dst": destination(number), "gw": "10.1.1.1" }));
    let routes: Vec<Value> = routes.chain([more.clone()]).collect();
    let ips = json!([{ "address": "10.1.1.7/24" }]);
    json!({ "cniVersion": "1.0.0", "ips": ips, "routes": routes }).to_string()
}

fn all_routes_are_added(lab: &Lab) {
    let ipam = lab.install("scripted");
    ipam.on("ADD")
        .stdout(result(&json!({ "dst": "10.9.0.0/16" })));
    let (conf, container) = (lab.scripted(json!({})), Container::new("a"));
    let result = lab.add(&container, &conf);
    assert_eq!(result["routes"].as_array().unwrap().len(), 5001);
    let routes = container.routes();
    assert_eq!(routes.len(), 5001);
    assert!(routes.contains(&"10.119.135.0/24 via 10.1.1.1".to_owned()));
    lab.check(&container, &conf, &result).silent();
    container.ip("route del 10.110.0.0/24");
    let failure = lab.check(&container, &conf, &result).failure();
    assert_eq!(failure.code, 120, "{failure:?}");
    assert!(failure.msg.contains("10.110.0.0/24"), "{failure:?}");
    lab.del(&container, &conf);
    assert_eq!(container.link_names(), ["lo"]);
}

fn a_refused_route_rolls_all_back(lab: &Lab) {
    let ipam = lab.install("scripted");
    let refused = json!({ "dst": "10.9.0.0/16", "gw": "192.0.2.1" });
    ipam.on("ADD").stdout(result(&refused));
    let (conf, container) = (lab.scripted(json!({})), Container::new("a"));
    let outcome = lab.node.run(&lab.call("ADD", &container, &conf));
    let says = ["192.0.2.1", "10.9.0.0/16", "eth0", "none of the networks"];
    outcome.refusal(7, &says);
    let commands: Vec<String> = ipam.calls().into_iter().map(|call| call.command).collect();
    assert_eq!(commands, ["ADD", "DEL"]);
    assert_eq!(container.link_names(), ["lo"]);
    assert_eq!(container.routes(), [""; 0]);
}
