//! Tests of VLANs.

use netlink::{Change, Kind, LinkChange, LinkRef, NewLink, PortVlans, VlanOwner};
use serde_json::json;

use crate::Pair;

#[test]
fn a_ports_vlans() {
    let Some(pair) = Pair::new() else { return };
    let checked = pair.run(|both| {
        let bridge = Change::create_bridge(&NewLink::named("cni0"), Some(true));
        let bridge = match both.host.create(bridge, "cni0") {
            Err(error) if error.is_unsupported() => {
                return Err("CONFIG_BRIDGE_VLAN_FILTERING");
            }
            bridge => bridge.unwrap(),
        };
        let kind = Kind::Bridge {
            vlan_filtering: true,
            default_pvid: 1,
        };
        assert_eq!(bridge.kind, kind);
        for filters in [false, true] {
            let change = LinkChange {
                vlan_filtering: Some(filters),
                ..LinkChange::default()
            };
            let change = Change::change_link(bridge.index, &change);
            let bridge = LinkRef::Index(bridge.index);
            let changed = both.host.perform_and_read(&[change], bridge).unwrap();
            let kind = Kind::Bridge {
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
            Change::delete_vlans(port, &[PortVlans::access(1)]),
            Change::add_vlans(port, &wanted),
            Change::add_vlans(VlanOwner::Bridge(bridge.index), &[PortVlans::tagged(7..=7)]),
        ];
        both.host.perform(&changes).unwrap();
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
        let near = both.host.perform_and_read(&[], near).unwrap().index;
        let all = [PortVlans::tagged(1..=4094)];
        let delete = Change::delete_vlans(VlanOwner::Port(near), &all);
        both.host.perform(&[delete]).unwrap();
        assert_eq!(both.host.vlans(near).unwrap(), []);
        let invalid = Change::add_vlans(VlanOwner::Port(near), &[PortVlans::access(4095)]);
        let error = both.host.perform(&[invalid]).unwrap_err();
        let expected = "cannot add VLANs to bridge port veth0: ";
        assert!(error.to_string().starts_with(expected), "{error}");
    });
}
