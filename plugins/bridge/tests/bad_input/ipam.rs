//! IPAM plugins that are missing or answer nonsense.

use serde_json::{Value, json};
use testkit::expectations::{NO_ADDRESSES, NO_RESULTS};

use crate::refusal::{Fails, Ignored, Scene};
use crate::support::conf::{ipv4, layer2};
use crate::support::lab::Lab;
use crate::support::side::{Side, both};

both!(
    no_address,
    garbage,
    an_error,
    killed,
    no_plugin,
    its_own_configuration
);

fn scripted() -> Value {
    layer2(json!({
        "isDefaultGateway": true,
        "ipMasq": true,
        "ipam": { "type": "scripted" },
    }))
}

/// It has given something that bridge cannot use, so it gets it back.
fn no_address(lab: &Lab) {
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

fn garbage(lab: &Lab) {
    let scene = Scene::new(lab);
    let ipam = lab.install("scripted");
    for answer in NO_RESULTS {
        ipam.on("ADD").stdout(answer);
        scene.refuses_add(&scripted(), 6, &["scripted"], Fails);
    }
    // Nor is what it says understood when there is more than one of it.
    let good = r#"{"cniVersion":"1.0.0","ips":[{"address":"10.1.1.3/24"}]}"#;
    ipam.on("ADD").stdout(format!("{good}{good}"));
    scene.refuses_add(&scripted(), 6, &["scripted"], Fails);
}

/// Code and message are passed on.
fn an_error(lab: &Lab) {
    let scene = Scene::new(lab);
    let ipam = lab.install("scripted");
    let error = r#"{"cniVersion":"1.0.0","code":11,"msg":"come back at noon"}"#;
    ipam.on("ADD").stdout(error).exit(1);
    scene.refuses_add(&scripted(), 11, &["scripted", "come back at noon"], Fails);
}

fn killed(lab: &Lab) {
    let scene = Scene::new(lab);
    let ipam = lab.install("scripted");
    ipam.on("ADD").kill(9);
    scene.refuses_add(&scripted(), 101, &["scripted", "SIGKILL"], Fails);
}

fn no_plugin(lab: &Lab) {
    let scene = Scene::new(lab);
    for (name, code) in [("none-such", 100), ("../none", 7), ("a/b", 7), ("..", 7)] {
        let conf = layer2(json!({ "ipam": { "type": name } }));
        scene.refuses_add(&conf, code, &[name], Fails);
    }
    // A DEL of them would go on for ever.
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

fn its_own_configuration(lab: &Lab) {
    let scene = Scene::new(lab);
    let conf = ipv4(json!({ "ipam": { "ranges": [[{ "subnet": "10.1.1.0/31" }]] } }));
    scene.refuses_add(&conf, 7, &["host-local", "10.1.1.0/31"], Fails);
    // A next hop that cannot be reached.
    let conf =
        ipv4(json!({ "ipam": { "routes": [{ "dst": "10.9.0.0/16", "gw": "172.16.0.1" }] } }));
    scene.refuses_add(&conf, 7, &["10.9.0.0/16", "172.16.0.1"], Fails);
}
