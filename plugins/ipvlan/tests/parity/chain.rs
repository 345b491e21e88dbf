//! ipvlan in a chain: master and addresses come from `prevResult`.

use serde_json::{Value, json};
use testkit::conf::{with, without};
use testkit::wire::{Container, Lab};

use crate::side::both;

both!(master_and_addresses, the_master_only, del_without_ipam);

fn previous() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "interfaces": [{ "name": "wire0" }],
        "ips": [{ "address": "10.1.1.9/24", "gateway": "10.1.1.1", "interface": 0 }],
        "routes": [{ "dst": "0.0.0.0/0" }],
    })
}

fn chained(lab: &Lab, keys: Value) -> Value {
    let conf = without(lab.layer2(json!({ "prevResult": previous() })), "master");
    with(conf, keys)
}

fn master_and_addresses(lab: &Lab) {
    let container = Container::new("a");
    let result = lab.add(&container, &chained(lab, json!({})));
    assert_eq!(result["ips"], previous()["ips"]);
    assert_eq!(result["routes"], previous()["routes"]);
    let eth0 = container.link("eth0");
    assert_eq!(result["interfaces"].as_array().unwrap().len(), 1);
    assert_eq!(result["interfaces"][0]["name"], "eth0");
    assert_eq!(eth0.parent(), Some(lab.link("wire0").index()));
    assert_eq!(eth0.addresses(), ["10.1.1.9/24"]);
    assert_eq!(
        container.routes_in_full(),
        ["default via 10.1.1.1 dev eth0"]
    );
    lab.del(&container, &chained(lab, json!({})));
    assert_eq!(container.link_names(), ["lo"]);
}

fn the_master_only(lab: &Lab) {
    let container = Container::new("a");
    let conf = with(
        without(lab.ipv4(json!({})), "master"),
        json!({ "prevResult": previous() }),
    );
    let result = lab.add(&container, &conf);
    assert_eq!(result["ips"][0]["address"], "10.1.1.2/24");
    assert_eq!(container.link("eth0").addresses(), ["10.1.1.2/24"]);
    assert_eq!(lab.taken(), ["10.1.1.2"]);
}

fn del_without_ipam(lab: &Lab) {
    let container = Container::new("a");
    lab.del(&container, &chained(lab, json!({})));
}
