//! Chains whose `prevResult` lacks addresses or a master.

use serde_json::json;
use testkit::conf::{with, without};
use testkit::wire::{Container, Lab};

use crate::side::both_on_any_kernel;

both_on_any_kernel!(
    a_prev_result_without_addresses_is_refused,
    a_prev_result_without_a_single_interface_is_refused
);

fn a_prev_result_without_addresses_is_refused(lab: &Lab) {
    let container = Container::new("c");
    for keys in [
        json!({}),
        json!({ "ipam": {} }),
        json!({ "ipam": { "type": "" } }),
        json!({ "prevResult": { "cniVersion": "1.0.0", "interfaces": [{ "name": "wire0" }] } }),
    ] {
        let call = lab.call("ADD", &container, &lab.layer2(keys));
        lab.refuses(&call, 7, &["ipam.type", "prevResult"]);
    }
}

fn a_prev_result_without_a_single_interface_is_refused(lab: &Lab) {
    let container = Container::new("c");
    for interfaces in [
        json!([]),
        json!([{ "name": "wire0" }, { "name": "lo" }]),
        json!([{ "name": "" }]),
    ] {
        let ips = json!([{ "address": "10.1.1.9/24" }]);
        let previous = json!({ "cniVersion": "1.0.0", "interfaces": interfaces, "ips": ips });
        let conf = without(lab.ipv4(json!({})), "master");
        let conf = with(conf, json!({ "prevResult": previous }));
        let call = lab.call("ADD", &container, &conf);
        lab.refuses(&call, 7, &["master", "prevResult"]);
    }
    let previous = json!({ "cniVersion": "1.0.0", "interfaces": [{ "name": "none0" }] });
    let conf = without(lab.ipv4(json!({})), "master");
    let conf = with(conf, json!({ "prevResult": previous }));
    let call = lab.call("ADD", &container, &conf);
    lab.refuses(&call, 7, &["master none0"]);
}
