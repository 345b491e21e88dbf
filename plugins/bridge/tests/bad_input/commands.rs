//! Commands without required missing_variables_are_named or keys.

use serde_json::json;

use crate::refusal::{Fails, Scene};
use crate::support::conf::{ipv4, with};
use crate::support::lab::Lab;
use crate::support::side::both;

both!(
    missing_variables_are_named,
    check_requires_prev_result,
    add_refuses_a_bridge_with_another_networks_address
);

fn missing_variables_are_named(lab: &Lab) {
    let scene = Scene::new(lab);
    let call = lab.call("ADD", &scene.container, &ipv4(json!({})));
    for name in ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_PATH"] {
        scene.refuses(&call.clone().without(name), 4, &[name], Fails);
    }
    scene.refuses(&call.command("add"), 4, &["CNI_COMMAND", "add"], Fails);
}

fn check_requires_prev_result(lab: &Lab) {
    let scene = Scene::new(lab);
    let conf = ipv4(json!({}));
    let call = |conf: &serde_json::Value| lab.call("CHECK", &scene.attached, conf);
    scene.refuses(&call(&conf), 7, &["prevResult"], Fails);
    for (broken, said) in [
        (json!("x"), "prevResult"),
        (
            json!({ "cniVersion": "1.0.0", "ips": [{ "address": "x" }] }),
            "prevResult",
        ),
        (
            json!({ "cniVersion": "1.0.0", "interfaces": 7 }),
            "prevResult.interfaces",
        ),
    ] {
        let conf = with(conf.clone(), json!({ "prevResult": broken }));
        scene.refuses(&call(&conf), 6, &[said], Fails);
    }
}

/// The error names both addresses and the remedies.
fn add_refuses_a_bridge_with_another_networks_address(lab: &Lab) {
    let scene = Scene::new(lab);
    for (subnet, start, gateway) in [
        ("10.2.2.0/24", "10.2.2.9", "10.2.2.1/24"),
        ("10.1.0.0/16", "10.1.9.9", "10.1.0.1/16"),
    ] {
        let ranges = json!([[{ "subnet": subnet, "rangeStart": start }]]);
        let conf = ipv4(json!({ "isGateway": true, "ipam": { "ranges": ranges } }));
        let says = ["cni0", "10.1.1.1/24", gateway, "forceAddress"];
        scene.refuses_add(&conf, 7, &says, Fails);
    }
}
