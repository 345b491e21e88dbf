//! IPAM plugins that are missing or answer with an invalid result.

use serde_json::{Value, json};
use testkit::expectations::{NO_ADDRESSES, NO_RESULTS};

use crate::refusal::{Fails, Ignored, Scene};
use crate::support::conf::{ipv4, layer2};
use crate::support::lab::Lab;
use crate::support::side::{Side, both};

both!(
    a_result_without_addresses_is_refused,
    an_answer_that_is_no_result_is_refused,
    the_error_of_ipam_is_passed_on,
    a_killed_ipam_plugin_is_reported,
    a_missing_ipam_plugin_is_reported,
    unusable_addresses_and_routes_are_refused
);

fn scripted() -> Value {
    layer2(json!({
        "isDefaultGateway": true,
        "ipMasq": true,
        "ipam": { "type": "scripted" },
    }))
}

/// bridge cannot use the result, so the IPAM plugin gets a DEL.
fn a_result_without_addresses_is_refused(lab: &Lab) {
    let scene = Scene::new(lab);
    let ipam = lab.install("scripted");
    for answer in NO_ADDRESSES {
        ipam.on("ADD").stdout(answer);
        let before = ipam.calls().len();
        scene.refuses_add(&scripted(), 101, &["ipam", "scripted", "no address"], Fails);
        if lab.side == Side::Ours {
            let calls = ipam.calls();
            let commands: Vec<&str> = calls[before..].iter().map(|call| &*call.command).collect();
            assert_eq!(commands, ["ADD", "DEL"]);
            assert_eq!(calls[before].stdin, calls[before + 1].stdin);
        }
    }
}

fn an_answer_that_is_no_result_is_refused(lab: &Lab) {
    let scene = Scene::new(lab);
    let ipam = lab.install("scripted");
    for answer in NO_RESULTS {
        ipam.on("ADD").stdout(answer);
        scene.refuses_add(&scripted(), 6, &["scripted"], Fails);
    }
    // Two JSON objects are not a result either.
    let good = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.1.1.3/24"}]}"#;
    ipam.on("ADD").stdout(format!("{good}{good}"));
    scene.refuses_add(&scripted(), 6, &["scripted"], Fails);
}

/// Code and message are passed on.
fn the_error_of_ipam_is_passed_on(lab: &Lab) {
    let scene = Scene::new(lab);
    let ipam = lab.install("scripted");
    let error = r#"{"cniVersion":"1.0.0","code":11,"msg":"come back at noon"}"#;
    ipam.on("ADD").stdout(error).exit(1);
    scene.refuses_add(&scripted(), 11, &["scripted", "come back at noon"], Fails);
}

fn a_killed_ipam_plugin_is_reported(lab: &Lab) {
    let scene = Scene::new(lab);
    let ipam = lab.install("scripted");
    ipam.on("ADD").kill(9);
    scene.refuses_add(&scripted(), 101, &["scripted", "SIGKILL"], Fails);
}

fn a_missing_ipam_plugin_is_reported(lab: &Lab) {
    let scene = Scene::new(lab);
    for (name, code) in [("none-such", 100), ("../none", 7), ("a/b", 7), ("..", 7)] {
        let conf = layer2(json!({ "ipam": { "type": name } }));
        scene.refuses_add(&conf, code, &[name], Fails);
    }
    // A DEL with such a type would recurse without end.
    for name in ["bridge", "macvlan", "flannel", "tuning"] {
        let conf = layer2(json!({ "ipam": { "type": name } }));
        let says = ["ipam.type", name, "no IPAM plugin"];
        scene.refuses_add(&conf, 7, &says, Ignored);
        if lab.side == Side::Ours {
            lab.del(&scene.container, &conf);
        }
    }
    let conf = layer2(json!({ "ipam": { "type": 7 } }));
    scene.refuses_add(&conf, 6, &["ipam.type", "7"], Fails);
}

fn unusable_addresses_and_routes_are_refused(lab: &Lab) {
    let scene = Scene::new(lab);
    let conf = ipv4(json!({ "ipam": { "ranges": [[{ "subnet": "10.1.1.0/31" }]] } }));
    scene.refuses_add(&conf, 7, &["host-local", "10.1.1.0/31"], Fails);
    // An unreachable next hop.
    let conf =
        ipv4(json!({ "ipam": { "routes": [{ "dst": "10.9.0.0/16", "gw": "172.16.0.1" }] } }));
    scene.refuses_add(&conf, 7, &["10.9.0.0/16", "172.16.0.1"], Fails);
}
