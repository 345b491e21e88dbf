//! Paths of network namespaces that lead to none.

use std::fs;

use serde_json::json;

use crate::refusal::{Fails, Scene};
use crate::support::conf::{dual_stack, with};
use crate::support::lab::Lab;
use crate::support::side::{Side, both};

both!(nothing_there, something_else_there, the_nodes_own);

fn nothing_there(lab: &Lab) {
    let scene = Scene::new(lab);
    let path = "/run/netns/none";
    for keys in [json!({}), json!({ "bridge": "new0", "isGateway": true })] {
        let conf = dual_stack(keys);
        let call = lab.call("ADD", &scene.container, &conf).netns(path);
        scene.refuses(&call, 8, &["CNI_NETNS", path], Fails);
        let before = scene.snapshot();
        lab.node.run(&call.clone().command("DEL")).silent();
        if lab.side == Side::Ours {
            assert_eq!(before, scene.snapshot());
            assert_eq!(lab.find_link("new0"), None);
        }
        let conf = with(conf, json!({ "prevResult": { "cniVersion": "1.0.0" } }));
        let call = lab.call("CHECK", &scene.container, &conf).netns(path);
        scene.refuses(&call, 8, &["CNI_NETNS", path], Fails);
    }
}

fn something_else_there(lab: &Lab) {
    let scene = Scene::new(lab);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [&*file, folder.path(), "/dev/null".as_ref()] {
        let call = lab.call("ADD", &scene.container, &dual_stack(json!({})));
        let call = call.netns(path);
        scene.refuses(&call, 8, &["CNI_NETNS", path.to_str().unwrap()], Fails);
    }
    // A namespace of another kind.
    let call = lab.call("ADD", &scene.container, &dual_stack(json!({})));
    let call = call.netns("/proc/self/ns/uts");
    scene.refuses(&call, 8, &["CNI_NETNS", "/proc/self/ns/uts"], Fails);
}

/// The Go plugins of this age attach the node to itself.
fn the_nodes_own(lab: &Lab) {
    let scene = Scene::new(lab);
    let call = lab.call("ADD", &scene.container, &dual_stack(json!({})));
    let call = call.netns("/proc/self/ns/net");
    scene.refuses(
        &call,
        8,
        &["CNI_NETNS", "/proc/self/ns/net"],
        crate::refusal::Takes,
    );
}
