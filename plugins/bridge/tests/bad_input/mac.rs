//! Invalid MACs, and MACs that an interface cannot have.

use serde_json::json;

use crate::refusal::{Fails, Scene, Takes};
use crate::support::conf::ipv4;
use crate::support::lab::Lab;
use crate::support::side::both;

both!(in_the_configuration, in_cni_args);

fn in_the_configuration(lab: &Lab) {
    let scene = Scene::new(lab);
    for (mac, reference) in [
        ("02:00:00:00:00", Fails),
        ("02:00:00:00:00:zz", Fails),
        ("x", Fails),
        // A group address, not one of a single interface.
        ("01:00:5e:00:00:01", Fails),
        ("ff:ff:ff:ff:ff:ff", Fails),
        ("00:00:00:00:00:00", Fails),
        // An EUI-64.
        ("02:00:00:00:00:00:00:01", Fails),
    ] {
        let conf = ipv4(json!({ "runtimeConfig": { "mac": mac } }));
        scene.refuses_add(&conf, 7, &["runtimeConfig.mac", mac], reference);
        let conf = ipv4(json!({ "args": { "cni": { "mac": mac } } }));
        scene.refuses_add(&conf, 7, &["args.cni.mac", mac], reference);
        // A MAC with a lower precedence is validated too.
        let conf = ipv4(json!({
            "args": { "cni": { "mac": mac } },
            "runtimeConfig": { "mac": "02:00:00:00:00:01" },
        }));
        scene.refuses_add(&conf, 7, &["args.cni.mac", mac], Takes);
    }
}

fn in_cni_args(lab: &Lab) {
    let scene = Scene::new(lab);
    let call = lab.call("ADD", &scene.container, &ipv4(json!({})));
    let call = call.args("MAC=01:00:5e:00:00:01");
    scene.refuses(&call, 4, &["CNI_ARGS", "MAC", "01:00:5e:00:00:01"], Fails);
    scene.refuses(&call.args("MAC=x"), 4, &["CNI_ARGS", "MAC", "x"], Fails);
}
