//! Tests of addresses.

use netlink::{Change, Family, LinkAddress, Rtnetlink};
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
            Change::SetLink {
                link: far.index,
                change: up(),
            },
            Change::add_address(far.index, "10.244.1.7/24".parse().unwrap(), true),
            Change::add_address(far.index, "10.9.9.9/32".parse().unwrap(), true),
            Change::add_address(far.index, "2001:db8::7/64".parse().unwrap(), false),
            Change::add_address(other.index, "10.244.2.7/24".parse().unwrap(), false),
        ];
        both.container.apply(&changes).unwrap();
        let error = both.container.apply(&changes[1..2]).unwrap_err();
        assert!(error.is_exists(), "{error}");
        let expected = "cannot add address 10.244.1.7/24 to link eth0: File exists";
        assert!(error.to_string().starts_with(expected), "{error}");

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
        let delete = |address: &str| Change::DeleteAddress {
            link: far,
            address: address.parse().unwrap(),
            peer: None,
        };
        let changes = [delete("10.244.1.7/24"), delete("2001:db8::7/64")];
        both.container.apply(&changes).unwrap();
        let error = both.container.apply(&changes[..1]).unwrap_err();
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

/// The addresses of a link without those that the kernel gives, and without for how long they last.
fn given(kernel: &mut Rtnetlink, link: u32) -> Vec<LinkAddress> {
    let mut listed = kernel.addresses(link, None).unwrap();
    listed.retain(|address| address.given.scope != 253);
    for address in &mut listed {
        address.given.lifetime = address.given.lifetime.map(|_| (1800, 3600));
    }
    listed.sort_by_key(|address| address.network.ip());
    listed
}

#[test]
fn an_address_is_given_again_as_it_was() {
    let Some(pair) = Pair::new() else { return };
    let link = pair.run(|both| both.bridge().index);
    for address in [
        "10.7.0.1/24 dev cni0 label cni0:op metric 50 valid_lft 3600 preferred_lft 1800",
        "10.8.0.1/24 broadcast 10.8.0.255 dev cni0 noprefixroute",
        "10.9.0.1 peer 10.9.0.2 dev cni0",
        "10.10.0.1/24 dev cni0 scope host",
        "fd00:7::1/64 dev cni0 nodad metric 70 valid_lft 3600 preferred_lft 1800",
        "fd00:8::1/64 dev cni0 nodad noprefixroute",
    ] {
        pair.host.ip(&format!("address add {address}"));
    }
    pair.run(|both| {
        let of_twill = "10.11.0.1/24".parse().unwrap();
        let addition = Change::add_address_of(84, link, of_twill);
        both.host.apply(&[addition]).unwrap();
        let before = given(&mut both.host, link);
        assert_eq!(before.len(), 7, "{before:?}");
        assert!(before.iter().all(|address| !address.is_plain("cni0")));
        let by_program = before.iter().find(|address| address.network == of_twill);
        assert_eq!(by_program.unwrap().given.protocol, 84);

        let removals = before.iter();
        let removals: Vec<Change> = removals
            .map(|address| Change::delete_address(link, address))
            .collect();
        both.host.apply(&removals).unwrap();
        assert!(given(&mut both.host, link).is_empty());
        let former = before.iter();
        let former: Vec<Change> = former
            .map(|address| Change::restore_address(link, address))
            .collect();
        both.host.apply(&former).unwrap();
        assert_eq!(given(&mut both.host, link), before);
    });
}

#[test]
fn who_gave_an_address_can_be_noted_later() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let link = both.bridge().index;
        let networks = ["10.7.0.1/24", "fd00:7::1/64"].map(|text| text.parse().unwrap());
        let additions = networks.map(|network| Change::add_address(link, network, false));
        both.host.apply(&additions).unwrap();
        let before = given(&mut both.host, link);
        assert_eq!(before.len(), 2);
        assert!(before.iter().all(|address| address.is_plain("cni0")));
        let notes = before.iter();
        let notes: Vec<Change> = notes
            .map(|address| Change::note_protocol(84, link, address))
            .collect();
        both.host.apply(&notes).unwrap();
        let expected: Vec<LinkAddress> = before
            .into_iter()
            .map(|mut address| {
                address.given.protocol = 84;
                address
            })
            .collect();
        assert_eq!(given(&mut both.host, link), expected);
    });
}

/// One that does not last is there because a router or a DHCP server has lent it.
#[test]
fn links_with_addresses_by_advertisements() {
    let Some(pair) = Pair::new() else { return };
    let link = pair.run(|both| both.bridge().index);
    let listed = || pair.run(|both| both.host.advertised_links().unwrap());
    pair.host.ip("address add fd00:7::1/64 dev cni0 nodad");
    assert_eq!(listed(), [0; 0]);
    pair.host
        .ip("address add fd00:8::1/64 dev cni0 nodad valid_lft 3600 preferred_lft 1800");
    assert_eq!(listed(), [link]);
    pair.host.ip("address del fd00:8::1/64 dev cni0");
    assert_eq!(listed(), [0; 0]);
    pair.host
        .ip("-6 route add default via fe80::1 dev cni0 proto ra");
    assert_eq!(listed(), [link]);
}
