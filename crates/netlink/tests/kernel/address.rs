use netlink::{Change, Family};
use serde_json::{Value, json};

use crate::{Pair, up};

fn of(link: &Value, family: &str) -> Vec<Value> {
    let addresses = link["addr_info"].as_array().unwrap();
    let of_family = addresses
        .iter()
        .filter(|address| address["family"] == family && address["scope"] == "global");
    of_family.cloned().collect()
}

#[test]
fn addresses_of_both_protocols() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let (_, far) = both.veth("veth0", "eth0", bridge.index);
        let (_, other) = both.veth("veth1", "eth1", bridge.index);
        let changes = [
            Change::change_link(far.index, &up()),
            Change::add_address(far.index, "10.244.1.7/24".parse().unwrap(), true),
            Change::add_address(far.index, "10.9.9.9/32".parse().unwrap(), true),
            Change::add_address(far.index, "2001:db8::7/64".parse().unwrap(), false),
            Change::add_address(other.index, "10.244.2.7/24".parse().unwrap(), false),
        ];
        both.container.perform(&changes).unwrap();
        let error = both.container.perform(&changes[1..2]).unwrap_err();
        assert!(error.is_exists(), "{error}");
        let expected = format!(
            "cannot add address 10.244.1.7/24 to link {}: File exists",
            far.index
        );
        assert!(error.to_string().starts_with(&expected), "{error}");

        let listed = both.container.addresses(far.index, Some(Family::V4));
        let listed: Vec<_> = listed
            .unwrap()
            .iter()
            .map(|address| address.network.to_string())
            .collect();
        assert_eq!(listed, ["10.244.1.7/24", "10.9.9.9/32"]);
        let listed = both.container.addresses(far.index, None).unwrap();
        let global = listed
            .iter()
            .find(|address| address.network.to_string() == "2001:db8::7/64");
        assert!(!global.unwrap().is_tentative);
        assert!(listed.len() >= 3);
    });
    let seen = pair.container_ip(&["address", "show", "eth0"]);
    let v4 = of(&seen, "inet");
    assert_eq!(v4.len(), 2, "{seen}");
    assert_eq!(v4[0]["local"], "10.244.1.7");
    assert_eq!(v4[0]["prefixlen"], 24);
    assert_eq!(v4[0]["broadcast"], "10.244.1.255");
    assert_eq!(v4[1]["local"], "10.9.9.9");
    assert_eq!(v4[1].get("broadcast"), None);
    let v6 = of(&seen, "inet6");
    assert_eq!(v6.len(), 1, "{seen}");
    assert_eq!(v6[0]["nodad"], json!(true));
    assert_eq!(v6[0].get("tentative"), None);

    pair.run(|both| {
        let far = both.container.link_by_name("eth0").unwrap().unwrap().index;
        let changes = [
            Change::delete_address(far, "10.244.1.7/24".parse().unwrap()),
            Change::delete_address(far, "2001:db8::7/64".parse().unwrap()),
        ];
        both.container.perform(&changes).unwrap();
        let error = both.container.perform(&changes[..1]).unwrap_err();
        assert!(error.is_not_found(), "{error}");
    });
    let seen = pair.container_ip(&["address", "show", "eth0"]);
    assert_eq!(of(&seen, "inet").len(), 1);
    assert_eq!(of(&seen, "inet6"), [] as [Value; 0]);
}

#[test]
fn addresses_of_a_link_that_is_gone() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let error = both.container.addresses(4711, None).unwrap_err();
        assert!(error.is_not_found(), "{error}");
    });
}
