//! Tests of ipvlan and macvlan links.

use netlink::{
    IpvlanMode, Link, LinkKind, Mac, MacvlanMode, NetlinkError, NewLink, NewSubInterface,
    SubInterface,
};

use crate::{Both, Pair, flags};

/// Creates a sub-interface of a bridge of the node in the container.
fn create(both: &mut Both, link: NewLink<'_>, kind: SubInterface) -> Result<Link, NetlinkError> {
    let parent = both.bridge().index;
    let new = NewSubInterface { link, kind, parent };
    both.host
        .create_sub_interface_in(&new, None, &both.netns, &mut both.container)
}

#[test]
fn a_macvlan_is_made_where_it_belongs() {
    for mode in [
        MacvlanMode::Bridge,
        MacvlanMode::Private,
        MacvlanMode::Vepa,
        MacvlanMode::Passthru,
    ] {
        let Some(pair) = Pair::new() else { return };
        let mac = Mac([0x0a, 0x58, 0, 0, 0, 3]);
        let made = pair.run(|both| {
            let link = NewLink {
                mac: Some(mac),
                mtu: Some(1400),
                is_up: true,
                ..NewLink::named("eth0")
            };
            create(both, link, SubInterface::Macvlan(mode)).unwrap()
        });
        let seen = pair.container_ip(&["-d", "link", "show", "eth0"]);
        let master = pair.host_ip(&["link", "show", "cni0"]);
        assert_eq!(seen["linkinfo"]["info_kind"], "macvlan");
        assert_eq!(seen["linkinfo"]["info_data"]["mode"], mode.as_str());
        assert_eq!(seen["link_index"], master["ifindex"]);
        // The only one on its master has the master's address, whatever is asked for.
        let address = if mode == MacvlanMode::Passthru {
            master["address"].clone()
        } else {
            mac.to_string().into()
        };
        assert_eq!(seen["address"], address);
        assert_eq!(seen["mtu"], 1400);
        assert!(flags(&seen).contains(&"UP"), "{seen}");
        assert_eq!(made.kind, LinkKind::Macvlan(Some(mode)));
        assert_eq!(made.name, "eth0");
        let parent = made.parent.unwrap();
        assert_eq!(u64::from(parent.index), master["ifindex"].as_u64().unwrap());
        assert!(parent.netns.is_some());
        assert_eq!(pair.host.ip_json(&["link"]).as_array().unwrap().len(), 2);
    }
}

#[test]
fn a_name_that_the_node_has_can_be_given_to_a_container() {
    let Some(pair) = Pair::new() else { return };
    let made = pair.run(|both| {
        let (link, kind) = (
            NewLink::named("cni0"),
            SubInterface::Macvlan(MacvlanMode::Bridge),
        );
        let made = create(both, link, kind).unwrap();
        let parent = made.parent.unwrap().index;
        let new = NewSubInterface { link, kind, parent };
        let again = both
            .host
            .create_sub_interface_in(&new, None, &both.netns, &mut both.container);
        assert!(again.unwrap_err().is_exists());
        made
    });
    assert_eq!(made.name, "cni0");
    assert_eq!(
        pair.container.ip_json(&["link"]).as_array().unwrap().len(),
        2
    );
}

#[test]
fn a_macvlan_on_a_link_of_its_own_namespace() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let parent = both.bridge().index;
        let new = NewSubInterface {
            link: NewLink::named("mac0"),
            kind: SubInterface::Macvlan(MacvlanMode::Bridge),
            parent,
        };
        let made = both.host.create_sub_interface(&new).unwrap();
        let made = made.parent.unwrap();
        assert_eq!((made.index, made.netns), (parent, None));
    });
}

#[test]
fn an_ipvlan_is_made_where_it_belongs() {
    for mode in [IpvlanMode::L2, IpvlanMode::L3, IpvlanMode::L3s] {
        let Some(pair) = Pair::new() else { return };
        let link = NewLink::named("eth0");
        let made = pair.run(|both| create(both, link, SubInterface::Ipvlan(mode)));
        let made = match made {
            Err(error) if error.is_unsupported() => {
                return testkit::requirements::skip_for_kernel("ipvlan");
            }
            made => made.unwrap(),
        };
        let seen = pair.container_ip(&["-d", "link", "show", "eth0"]);
        assert_eq!(seen["linkinfo"]["info_kind"], "ipvlan");
        assert_eq!(seen["linkinfo"]["info_data"]["mode"], mode.as_str());
        assert_eq!(made.kind, LinkKind::Ipvlan(Some(mode)));
    }
}

#[test]
fn modes_have_names() {
    for mode in ["private", "vepa", "bridge", "passthru"] {
        assert_eq!(mode.parse::<MacvlanMode>().unwrap().as_str(), mode);
    }
    for mode in ["l2", "l3", "l3s"] {
        assert_eq!(mode.parse::<IpvlanMode>().unwrap().as_str(), mode);
    }
    let unknown = "L2".parse::<IpvlanMode>().unwrap_err();
    assert_eq!(
        unknown.to_string(),
        r#"unknown mode "L2": use one of l2, l3, l3s"#
    );
}
