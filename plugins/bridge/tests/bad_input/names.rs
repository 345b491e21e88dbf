//! Names of links that are too long, invalid or taken.

use serde_json::json;

use crate::refusal::{Fails, Ignored, Scene};
use crate::support::conf::{GATEWAY, ipv4, layer2, with};
use crate::support::lab::Lab;
use crate::support::side::{Side, both};
use crate::support::traffic::assert_reaches;

both!(
    an_invalid_bridge_name_is_refused,
    a_link_of_another_kind_as_bridge_is_refused,
    an_existing_interface_is_refused,
    a_repeated_add_fails_on_the_existing_interface,
    an_invalid_interface_name_is_refused,
);

fn an_invalid_bridge_name_is_refused(lab: &Lab) {
    let scene = Scene::new(lab);
    let names = ["sixteen_bytes_xx", "a/b", "a b", "a:b", ".", "..", "br%d"];
    for name in names {
        let conf = ipv4(json!({ "bridge": name }));
        // The kernel would expand the last one to `br0`.
        let reference = if name == "br%d" { Ignored } else { Fails };
        scene.refuses_add(&conf, 7, &["bridge", name], reference);
    }
    scene.refuses_add(
        &ipv4(json!({ "bridge": "" })),
        7,
        &["bridge", "empty"],
        Fails,
    );
}

fn a_link_of_another_kind_as_bridge_is_refused(lab: &Lab) {
    lab.ip("link add wire0 type veth peer name wire1");
    lab.ip("tuntap add tap0 mode tap");
    let scene = Scene::new(lab);
    for (name, kind) in [("wire0", "veth"), ("tap0", "tun"), ("lo", "lo")] {
        for conf in [ipv4(json!({ "isGateway": true })), layer2(json!({}))] {
            let conf = with(conf, json!({ "bridge": name }));
            scene.refuses_add(&conf, 7, &["bridge", name, kind], Fails);
        }
    }
}

fn an_existing_interface_is_refused(lab: &Lab) {
    let scene = Scene::new(lab);
    let conf = ipv4(json!({ "isDefaultGateway": true, "ipMasq": true }));
    let call = lab.call("ADD", &scene.container, &conf);
    scene.container.ip("link add eth4 type bridge");
    scene.container.ip("link add eth5 type veth peer name eth6");
    for name in ["lo", "eth4", "eth5"] {
        let call = call.clone().ifname(name);
        scene.refuses(&call, 4, &["CNI_IFNAME", name], Fails);
    }
}

/// The attachment of the first ADD stays as it is.
fn a_repeated_add_fails_on_the_existing_interface(lab: &Lab) {
    let scene = Scene::new(lab);
    for conf in [
        ipv4(json!({ "isDefaultGateway": true, "ipMasq": true })),
        ipv4(json!({ "isDefaultGateway": true, "ipMasq": true, "bridge": "new0" })),
        layer2(json!({})),
    ] {
        if lab.side == Side::Reference {
            lab.add_fails(&scene.attached, &conf);
            continue;
        }
        let call = lab.call("ADD", &scene.attached, &conf);
        scene.refuses(&call, 4, &["CNI_IFNAME", "eth0"], Fails);
    }
    assert_reaches(&scene.attached, GATEWAY);
}

fn an_invalid_interface_name_is_refused(lab: &Lab) {
    let scene = Scene::new(lab);
    let call = lab.call("ADD", &scene.container, &ipv4(json!({})));
    for name in ["sixteen_bytes_xx", "a/b", "a b", "a:b", ".", ".."] {
        let call = call.clone().ifname(name);
        scene.refuses(&call, 4, &["CNI_IFNAME", name], Fails);
    }
    // The kernel would expand the name to `eth0`.
    let call = call.ifname("eth%d");
    scene.refuses(&call, 4, &["CNI_IFNAME", "eth%d", "number"], Ignored);
    if lab.side == Side::Ours {
        // DEL accepts the name, which another plugin may have recorded.
        lab.node.run(&call.command("DEL")).silent();
    }
}
