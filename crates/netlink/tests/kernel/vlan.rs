//! Tests of VLANs.

use netlink::{Change, LinkChange, LinkKind, LinkRef, NewLink, PortVlans, VlanOwner};
use serde_json::json;

use crate::Pair;

#[test]
fn a_ports_vlans() {
    let Some(pair) = Pair::new() else { return };
    let checked = pair.run(|both| {
        let link = NewLink::named("cni0");
        let bridge = match both.host.create_bridge(&link, Some(true)) {
            Err(error) if error.is_unsupported() => {
                return Err("CONFIG_BRIDGE_VLAN_FILTERING");
            }
            bridge => bridge.unwrap(),
        };
        let kind = LinkKind::Bridge {
            vlan_filtering: true,
            default_pvid: 1,
        };
        assert_eq!(bridge.kind, kind);
        for filters in [false, true] {
            let change = LinkChange {
                vlan_filtering: Some(filters),
                ..LinkChange::default()
            };
            let change = Change::SetLink {
                link: bridge.index,
                change,
            };
            let bridge = LinkRef::Index(bridge.index);
            let changed = both.host.apply_and_read(&[change], bridge).unwrap();
            let kind = LinkKind::Bridge {
                vlan_filtering: filters,
                default_pvid: 1,
            };
            assert_eq!(changed.kind, kind);
        }
        let (near, _) = both.veth("veth0", "eth0", bridge.index);
        both.veth("veth1", "eth1", bridge.index);
        let fresh = both.host.vlans(near.index).unwrap();
        assert_eq!(fresh, [PortVlans::access(1)]);

        let port = VlanOwner::Port(near.index);
        let wanted = [
            PortVlans::access(100),
            PortVlans::tagged(200..=210),
            PortVlans::tagged(300..=300),
        ];
        let changes = [
            Change::DeleteVlans {
                owner: port,
                vlans: vec![PortVlans::access(1)],
            },
            Change::AddVlans {
                owner: port,
                vlans: wanted.to_vec(),
            },
            Change::AddVlans {
                owner: VlanOwner::Bridge(bridge.index),
                vlans: vec![PortVlans::tagged(7..=7)],
            },
        ];
        both.host.apply(&changes).unwrap();
        assert_eq!(both.host.vlans(near.index).unwrap(), wanted);
        let of_bridge = both.host.vlans(bridge.index).unwrap();
        assert_eq!(of_bridge, [PortVlans::access(1), PortVlans::tagged(7..=7)]);
        Ok(())
    });
    if let Err(feature) = checked {
        return testkit::requirements::skip_for_kernel(feature);
    }
    let mut seen = pair.bridge(&["-compressvlans", "vlan", "show", "dev", "veth0"]);
    // Of a range, some versions of iproute2 list that it has no flags.
    for vlan in seen[0]["vlans"].as_array_mut().unwrap() {
        if vlan["flags"] == json!([]) {
            vlan.as_object_mut().unwrap().remove("flags");
        }
    }
    let vlans = json!([{
        "ifname": "veth0",
        "vlans": [
            { "vlan": 100, "flags": ["PVID", "Egress Untagged"] },
            { "vlan": 200, "vlanEnd": 210 },
            { "vlan": 300 }
        ]
    }]);
    assert_eq!(seen, vlans);
    let untouched = pair.bridge(&["vlan", "show", "dev", "veth1"]);
    assert_eq!(untouched[0]["vlans"][0]["vlan"], 1);

    pair.run(|both| {
        let near = LinkRef::Name("veth0");
        let near = both.host.apply_and_read(&[], near).unwrap().index;
        let owner = VlanOwner::Port(near);
        let delete = Change::DeleteVlans {
            owner,
            vlans: vec![PortVlans::tagged(1..=4094)],
        };
        both.host.apply(&[delete]).unwrap();
        assert_eq!(both.host.vlans(near).unwrap(), []);
        let invalid = Change::AddVlans {
            owner,
            vlans: vec![PortVlans::access(4095)],
        };
        let error = both.host.apply(&[invalid]).unwrap_err();
        let expected = "cannot add VLANs to bridge port veth0: ";
        assert!(error.to_string().starts_with(expected), "{error}");
    });
}
