//! Without the right to change the network.

use serde_json::json;

use crate::refusal::{Fails, Scene};
use crate::support::conf::{dual_stack, layer2, with};
use crate::support::lab::Lab;
use crate::support::side::both;

both!(calls_without_cap_net_admin_name_the_capability);

fn calls_without_cap_net_admin_name_the_capability(lab: &Lab) {
    let scene = Scene::new(lab);
    for conf in [
        dual_stack(json!({ "isDefaultGateway": true, "ipMasq": true })),
        layer2(json!({})),
        layer2(json!({ "bridge": "new0" })),
    ] {
        let call = lab.call_without_rights("ADD", &scene.container, &conf);
        scene.refuses(&call, 5, &["CAP_NET_ADMIN"], Fails);
    }
    // An existing attachment stays, for a repeated call.
    let conf = dual_stack(json!({ "isGateway": true }));
    let result = lab.add(&scene.container, &conf);
    let conf = with(conf, json!({ "prevResult": result }));
    let call = lab.call_without_rights("DEL", &scene.container, &conf);
    lab.node.run(&call).failure();
    assert_eq!(scene.container.link_names(), ["lo", "eth0"]);
    lab.del(&scene.container, &conf);
    assert_eq!(scene.container.link_names(), ["lo"]);
}
