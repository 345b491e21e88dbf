//! Invalid VLANs. Valid ones are in the test `vlan`, which needs a kernel that filters VLANs.

use serde_json::{Value, json};

use crate::refusal::{Fails, Ignored, Reference, Scene};
use crate::support::conf::{ipv4, layer2};
use crate::support::lab::Lab;
use crate::support::links::can_filter_vlans;
use crate::support::side::both;

both!(
    out_of_range,
    trunk,
    name_of_the_gateways_interface,
    a_kernel_without_vlan_filtering_is_reported
);

fn out_of_range(lab: &Lab) {
    let scene = Scene::new(lab);
    for vlan in [-1, 4095, 4096, 70_000] {
        let number = vlan.to_string();
        for conf in [
            ipv4(json!({ "vlan": vlan })),
            layer2(json!({ "vlan": vlan })),
        ] {
            scene.refuses_add(&conf, 7, &["vlan", &number], Fails);
        }
    }
}

fn trunk(lab: &Lab) {
    let scene = Scene::new(lab);
    let cases: [(Value, &[&str]); 8] = [
        (json!([{ "id": 0 }]), &["vlanTrunk[0].id", "0"]),
        (json!([{ "id": 4095 }]), &["vlanTrunk[0].id", "4095"]),
        (
            json!([{ "id": 7 }, { "id": -1 }]),
            &["vlanTrunk[1].id", "-1"],
        ),
        (
            json!([{ "minID": 0, "maxID": 5 }]),
            &["vlanTrunk[0].minID", "0"],
        ),
        (
            json!([{ "minID": 1, "maxID": 4095 }]),
            &["vlanTrunk[0].maxID", "4095"],
        ),
        (
            json!([{ "minID": 9, "maxID": 5 }]),
            &["vlanTrunk[0]", "minID", "9", "maxID", "5"],
        ),
        (
            json!([{ "minID": 9 }]),
            &["vlanTrunk[0]", "minID", "9", "maxID"],
        ),
        (
            json!([{ "maxID": 9 }]),
            &["vlanTrunk[0]", "maxID", "9", "minID"],
        ),
    ];
    for (trunk, says) in cases {
        let conf = layer2(json!({ "vlanTrunk": trunk }));
        scene.refuses_add(&conf, 7, says, Ignored);
    }
}

/// The name would be the bridge's, a dot and the VLAN.
fn name_of_the_gateways_interface(lab: &Lab) {
    let scene = Scene::new(lab);
    let conf = ipv4(json!({ "bridge": "twelve_bytes", "vlan": 1000, "isGateway": true }));
    scene.refuses_add(&conf, 7, &["bridge", "vlan", "twelve_bytes.1000"], Fails);
}

/// On a kernel that cannot filter VLANs, the VLANs would see each other.
fn a_kernel_without_vlan_filtering_is_reported(lab: &Lab) {
    if can_filter_vlans(lab) {
        return;
    }
    let scene = Scene::new(lab);
    let refused = |keys: Value, says: &[&str], reference: Reference| {
        scene.refuses_add(&ipv4(keys.clone()), 2, says, reference);
        scene.refuses_add(&layer2(keys), 2, says, reference);
    };
    refused(
        json!({ "vlan": 100, "bridge": "new0" }),
        &["vlan", "100"],
        Fails,
    );
    refused(json!({ "vlan": 100 }), &["vlan", "100"], Fails);
    let trunk = json!([{ "id": 100 }]);
    refused(json!({ "vlanTrunk": trunk }), &["vlanTrunk"], Ignored);
}
