//! Keys of the configuration with invalid values, alone or in combination.

use serde_json::{Value, json};

use crate::refusal::{Fails, Ignored, Reference, Scene, Takes};
use crate::support::conf::{SUBNET6, ipv4, with};
use crate::support::lab::Lab;
use crate::support::side::both;

both!(
    wrong_types,
    mtu,
    keys_that_exclude_each_other,
    masquerade_backend,
    resolver,
    header,
    undecodable
);

fn each(lab: &Lab, cases: &[(Value, u64, &[&str], Reference)]) {
    let scene = Scene::new(lab);
    for (keys, code, says, reference) in cases {
        scene.refuses_add(&ipv4(keys.clone()), *code, says, *reference);
    }
}

fn wrong_types(lab: &Lab) {
    each(
        lab,
        &[
            (json!({ "bridge": 7 }), 6, &["bridge", "7"], Fails),
            (
                json!({ "isGateway": "yes" }),
                6,
                &["isGateway", "yes"],
                Fails,
            ),
            (
                json!({ "isDefaultGateway": 1 }),
                6,
                &["isDefaultGateway", "1"],
                Fails,
            ),
            (json!({ "forceAddress": "x" }), 6, &["forceAddress"], Fails),
            (json!({ "ipMasq": "true" }), 6, &["ipMasq", "true"], Fails),
            (json!({ "mtu": "1400" }), 6, &["mtu", "1400"], Fails),
            (json!({ "mtu": 1400.5 }), 6, &["mtu", "1400.5"], Fails),
            (json!({ "hairpinMode": [] }), 6, &["hairpinMode"], Fails),
            (json!({ "promiscMode": {} }), 6, &["promiscMode"], Fails),
            (json!({ "vlan": "100" }), 6, &["vlan", "100"], Fails),
            (
                json!({ "macspoofchk": "on" }),
                6,
                &["macspoofchk", "on"],
                Fails,
            ),
            (json!({ "enabledad": "on" }), 6, &["enabledad", "on"], Fails),
            (json!({ "dns": "10.1.1.1" }), 6, &["dns"], Fails),
            (
                json!({ "runtimeConfig": { "mac": 7 } }),
                6,
                &["runtimeConfig.mac", "7"],
                Fails,
            ),
            (
                json!({ "args": { "cni": { "mac": 7 } } }),
                6,
                &["args.cni.mac", "7"],
                Fails,
            ),
            (json!({ "ipam": "host-local" }), 6, &["ipam"], Fails),
            (
                json!({ "portIsolation": "x" }),
                6,
                &["portIsolation"],
                Ignored,
            ),
            (
                json!({ "disableContainerInterface": "x" }),
                6,
                &["disableContainerInterface"],
                Ignored,
            ),
            (
                json!({ "preserveDefaultVlan": "x" }),
                6,
                &["preserveDefaultVlan"],
                Ignored,
            ),
            (json!({ "vlanTrunk": "x" }), 6, &["vlanTrunk"], Ignored),
            (
                json!({ "ipMasqBackend": 4 }),
                6,
                &["ipMasqBackend", "4"],
                Ignored,
            ),
        ],
    );
}

fn mtu(lab: &Lab) {
    each(
        lab,
        &[
            // IPv6 needs at least 1280.
            (
                json!({ "mtu": 1279, "ipam": { "ranges": [[{ "subnet": SUBNET6 }]] } }),
                7,
                &["mtu", "1279", "1280"],
                Fails,
            ),
            (json!({ "mtu": 65536 }), 7, &["mtu", "65536"], Fails),
            (json!({ "mtu": 67 }), 7, &["mtu", "67"], Fails),
            (json!({ "mtu": -1 }), 7, &["mtu", "-1"], Takes),
            (
                json!({ "mtu": 5_000_000_000_u64 }),
                7,
                &["mtu", "5000000000"],
                Fails,
            ),
        ],
    );
}

fn keys_that_exclude_each_other(lab: &Lab) {
    each(
        lab,
        &[
            (
                json!({ "hairpinMode": true, "promiscMode": true }),
                7,
                &["hairpinMode", "promiscMode", "true"],
                Fails,
            ),
            (
                json!({ "disableContainerInterface": true }),
                7,
                &["disableContainerInterface", "true", "ipam"],
                Ignored,
            ),
        ],
    );
}

fn masquerade_backend(lab: &Lab) {
    let scene = Scene::new(lab);
    let conf = ipv4(json!({ "ipMasq": true, "ipMasqBackend": "pf" }));
    scene.refuses_add(&conf, 7, &["ipMasqBackend", "\"pf\""], Ignored);
    // The key is honoured, and this PATH has no iptables.
    let nothing = tempfile::tempdir().unwrap();
    let conf = ipv4(json!({ "ipMasq": true, "ipMasqBackend": "iptables" }));
    let call = lab.call("ADD", &scene.container, &conf);
    let call = call.env("PATH", nothing.path());
    scene.refuses(&call, 2, &["ipMasqBackend", "iptables", "PATH"], Ignored);
}

fn resolver(lab: &Lab) {
    each(
        lab,
        &[
            (
                json!({ "dns": { "nameservers": "x" } }),
                6,
                &["dns.nameservers"],
                Fails,
            ),
            (
                json!({ "dns": { "search": [7] } }),
                6,
                &["dns.search[0]", "7"],
                Fails,
            ),
        ],
    );
}

fn header(lab: &Lab) {
    each(
        lab,
        &[
            (json!({ "name": "" }), 7, &["name"], Fails),
            (json!({ "name": "../x" }), 7, &["name", "../x"], Fails),
            (
                json!({ "cniVersion": "9.9.9" }),
                1,
                &["incompatible CNI versions"],
                Fails,
            ),
        ],
    );
}

fn undecodable(lab: &Lab) {
    let scene = Scene::new(lab);
    let call = || lab.call("ADD", &scene.container, &json!({}));
    for text in ["", "{", "[]", "{\"name\":\"net\"}}"] {
        scene.refuses(&call().stdin(text), 6, &["network configuration"], Fails);
    }
    let unknown = with(ipv4(json!({})), json!({ "type": "bridge" }));
    let call = lab.call("ADD", &scene.container, &unknown);
    scene.refuses(
        &call.clone().args("K8S_POD_NAME=p"),
        4,
        &["CNI_ARGS", "K8S_POD_NAME"],
        Fails,
    );
    scene.refuses(&call.args("nonsense"), 4, &["CNI_ARGS", "nonsense"], Fails);
}
