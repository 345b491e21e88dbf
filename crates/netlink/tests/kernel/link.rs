//! Tests of links.

use netlink::attributes::Attributes;
use netlink::{
    Answer, BridgePort, Change, KernelRequest, LinkChange, LinkKind, LinkRef, Mac, NetlinkError,
    NewLink, NewPeer, NewVeth, PortChange, PortVlans, Protocol, RequestOutcome, Route, Socket,
    Veth, VlanOwner,
};
use nix::errno::Errno;
use nix::libc;

use crate::{BRIDGE_MAC, Pair, flags, peer};

#[test]
fn a_bridge_is_made_in_one_message() {
    let Some(pair) = Pair::new() else { return };
    let made = pair.run(|both| {
        let bridge = NewLink {
            mac: Some(BRIDGE_MAC),
            mtu: Some(1450),
            is_up: true,
            ..NewLink::named("cni0")
        };
        let made = both.host.create_bridge(&bridge, None).unwrap();
        let error = both.host.create_bridge(&bridge, None).unwrap_err();
        assert!(error.is_exists());
        assert!(!error.is_not_found());
        assert_eq!(error.to_string(), "cannot create bridge cni0: File exists");
        made
    });
    let seen = pair.host_ip(&["-d", "link", "show", "cni0"]);
    assert_eq!(seen["ifindex"], made.index);
    assert_eq!(seen["address"], "0a:58:0a:f4:01:01");
    assert_eq!(seen["mtu"], 1450);
    assert_eq!(seen["linkinfo"]["info_kind"], "bridge");
    assert!(flags(&seen).contains(&"UP"), "{seen}");
    let LinkKind::Bridge { vlan_filtering, .. } = made.kind else {
        panic!("{made:?}");
    };
    assert!(!vlan_filtering);
    assert_eq!((made.mac, made.mtu), (Some(BRIDGE_MAC), 1450));
    assert!(made.is_up);
}

#[test]
fn a_bridge_keeps_the_address_it_was_made_with() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        // A port with a lower address would take it over.
        let port = NewLink {
            master: Some(bridge.index),
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            ..NewLink::named("veth0")
        };
        let peer = peer("eth0", &both.netns);
        both.host
            .create_veth(&NewVeth { port, peer }, None)
            .unwrap();
    });
    let seen = pair.host_ip(&["link", "show", "cni0"]);
    assert_eq!(seen["address"], "0a:58:0a:f4:01:01");
}

#[test]
fn both_ends_of_a_veth_are_made_where_they_belong() {
    let Some(pair) = Pair::new() else { return };
    let (near_mac, far_mac) = (Mac([0x0a, 0x58, 0, 0, 0, 1]), Mac([0x0a, 0x58, 0, 0, 0, 2]));
    let (bridge, near, far) = pair.run(|both| {
        let bridge = both.bridge();
        let port = NewLink {
            mac: Some(near_mac),
            mtu: Some(1400),
            master: Some(bridge.index),
            is_up: true,
            ..NewLink::named("veth0")
        };
        let peer = NewPeer {
            mac: Some(far_mac),
            mtu: Some(1300),
            ..peer("eth0", &both.netns)
        };
        let made = both.host.create_veth(&NewVeth { port, peer }, None);
        let Veth { port: near, peer } = made.unwrap();
        let far = both.container.link_by_name("eth0").unwrap().unwrap();
        assert_eq!((peer.index, &peer.name), (far.index, &far.name));
        (bridge, near, far)
    });
    let seen = pair.host_ip(&["link", "show", "veth0"]);
    assert_eq!(seen["ifindex"], near.index);
    assert_eq!(seen["address"], near_mac.to_string());
    assert_eq!(seen["mtu"], 1400);
    assert_eq!(seen["master"], "cni0");
    assert!(flags(&seen).contains(&"UP"), "{seen}");
    let seen = pair.container_ip(&["link", "show", "eth0"]);
    assert_eq!(seen["ifindex"], far.index);
    assert_eq!(seen["address"], far_mac.to_string());
    assert_eq!(seen["mtu"], 1300);
    assert!(!flags(&seen).contains(&"UP"), "{seen}");

    assert_eq!(near.name, "veth0");
    assert_eq!((&near.kind, &far.kind), (&LinkKind::Veth, &LinkKind::Veth));
    assert_eq!((near.mac, far.mac), (Some(near_mac), Some(far_mac)));
    assert_eq!((near.mtu, far.mtu), (1400, 1300));
    assert_eq!((near.master, far.master), (Some(bridge.index), None));
    assert_eq!((near.is_up, far.is_up), (true, false));
    assert!(!near.is_operational() && !far.is_operational());
    let (near_parent, far_parent) = (near.parent.unwrap(), far.parent.unwrap());
    assert_eq!(
        (near_parent.index, far_parent.index),
        (far.index, near.index)
    );
    assert!(near_parent.netns.is_some() && far_parent.netns.is_some());
    // Nothing else was made on either side.
    assert_eq!(pair.host.ip_json(&["link"]).as_array().unwrap().len(), 3);
    assert_eq!(
        pair.container.ip_json(&["link"]).as_array().unwrap().len(),
        2
    );
}

#[test]
fn a_veth_whose_name_is_taken_at_either_end_leaves_nothing() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        both.veth("veth0", "eth0", bridge.index);
        for (near, far) in [("veth1", "eth0"), ("veth0", "eth1")] {
            let port = NewLink::named(near);
            let peer = peer(far, &both.netns);
            let made = both.host.create_veth(&NewVeth { port, peer }, None);
            let error = made.unwrap_err();
            assert!(error.is_exists(), "{error}");
        }
    });
    assert_eq!(pair.host.ip_json(&["link"]).as_array().unwrap().len(), 3);
    assert_eq!(
        pair.container.ip_json(&["link"]).as_array().unwrap().len(),
        2
    );
}

#[test]
fn a_link_is_changed_all_at_once() {
    let Some(pair) = Pair::new() else { return };
    let changed = pair.run(|both| {
        let bridge = both.bridge();
        let port = NewLink::named("veth0");
        let peer = peer("eth0", &both.netns);
        let made = both.host.create_veth(&NewVeth { port, peer }, None);
        let made = made.unwrap().port;
        assert_eq!(made.port, None);
        let change = LinkChange {
            name: Some("veth.5".to_owned()),
            mtu: Some(1280),
            mac: Some(Mac([0x0a, 0x58, 0, 0, 0, 9])),
            master: Some(bridge.index),
            is_promiscuous: Some(true),
            is_up: Some(true),
            ..LinkChange::default()
        };
        let change = Change::SetLink {
            link: made.index,
            change,
        };
        both.host
            .apply_and_read(&[change], LinkRef::Index(made.index))
            .unwrap()
    });
    let seen = pair.host_ip(&["link", "show", "veth.5"]);
    assert_eq!(seen["mtu"], 1280);
    assert_eq!(seen["address"], "0a:58:00:00:00:09");
    assert_eq!(seen["master"], "cni0");
    for flag in ["UP", "PROMISC"] {
        assert!(flags(&seen).contains(&flag), "{seen}");
    }
    assert!(changed.is_promiscuous && changed.is_up);

    let reset = pair.run(|both| {
        let change = LinkChange {
            master: Some(0),
            is_promiscuous: Some(false),
            is_up: Some(false),
            ..LinkChange::default()
        };
        let change = Change::SetLink {
            link: changed.index,
            change,
        };
        both.host
            .apply_and_read(&[change], LinkRef::Index(changed.index))
            .unwrap()
    });
    assert_eq!((reset.master, reset.port), (None, None));
    assert!(!reset.is_promiscuous && !reset.is_up);
    assert_eq!((reset.name.as_str(), reset.mtu), ("veth.5", 1280));
}

#[test]
fn a_ports_settings() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let (near, _) = both.veth("veth0", "eth0", bridge.index);
        let fresh = BridgePort {
            hairpin: false,
            isolated: false,
            learning: true,
            is_forwarding: false,
        };
        assert_eq!(near.port, Some(fresh));
        let port = PortChange {
            hairpin: Some(true),
            isolated: Some(true),
            learning: Some(false),
        };
        let change = LinkChange {
            port,
            ..LinkChange::default()
        };
        let change = Change::SetLink {
            link: near.index,
            change,
        };
        let port = both
            .host
            .apply_and_read(&[change], LinkRef::Index(near.index));
        let changed = BridgePort {
            hairpin: true,
            isolated: true,
            learning: false,
            is_forwarding: false,
        };
        assert_eq!(port.unwrap().port, Some(changed));
    });
    let seen = pair.host_ip(&["-d", "link", "show", "veth0"]);
    let port = &seen["linkinfo"]["info_slave_data"];
    assert_eq!(port["hairpin"], true, "{seen}");
    assert_eq!(port["isolated"], true);
    assert_eq!(port["learning"], false);
}

#[test]
fn the_ports_of_a_bridge_are_those_and_no_others() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let other = both.host.create_bridge(&NewLink::named("cni1"), None);
        let other = other.unwrap();
        // More than fits into one part of the answer.
        for number in 0..40 {
            let (near, far) = (format!("veth{number}"), format!("eth{number}"));
            both.veth(&near, &far, bridge.index);
        }
        both.veth("veth-other", "eth-other", other.index);
        let ports = both.host.ports(bridge.index).unwrap();
        let mut names: Vec<_> = ports.into_iter().map(|port| port.name).collect();
        let mut expected: Vec<_> = (0..40).map(|number| format!("veth{number}")).collect();
        names.sort();
        expected.sort();
        assert_eq!(names, expected);
        let ports = both.host.ports(other.index).unwrap();
        assert_eq!(ports.len(), 1);
        assert_eq!(both.container.ports(bridge.index).unwrap(), []);
    });
}

#[test]
fn a_pair_goes_with_either_end_and_what_is_gone_is_not_found() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let (near, far) = both.veth("veth0", "eth0", bridge.index);
        both.container
            .apply(&[Change::DeleteLink { link: far.index }])
            .unwrap();
        assert_eq!(both.host.link_by_name("veth0").unwrap(), None);
        assert_eq!(both.host.link_by_index(near.index).unwrap(), None);
        let again = both
            .container
            .apply(&[Change::DeleteLink { link: far.index }]);
        let error = again.unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert_eq!(
            error.to_string(),
            format!("cannot delete link {}: No such device", far.index)
        );
    });
}

#[test]
fn a_pair_is_marked_by_an_alias_and_listed() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let port = NewLink {
            master: Some(bridge.index),
            ..NewLink::named("veth0")
        };
        let peer = peer("eth0", &both.netns);
        let alias = "x".repeat(254);
        let pair = NewVeth { port, peer };
        let made = both.host.create_veth(&pair, Some(&alias));
        assert_eq!(made.unwrap().port.alias, Some(alias.clone()));
        let again = both.host.create_veth(&pair, Some(&alias));
        assert!(again.unwrap_err().is_exists());
        let listed = both.host.veths().unwrap();
        let listed = listed.iter().map(|link| (link.name.as_str(), &link.alias));
        assert_eq!(listed.collect::<Vec<_>>(), [("veth0", &Some(alias))]);
        assert_eq!(both.container.veths().unwrap()[0].alias, None);
        let change = LinkChange {
            alias: Some("other".to_owned()),
            ..LinkChange::default()
        };
        let index = listed_index(&mut both.host);
        both.host
            .apply(&[Change::SetLink {
                link: index,
                change,
            }])
            .unwrap();
        let link = both.host.link_by_name("veth0").unwrap().unwrap();
        assert_eq!(link.alias.as_deref(), Some("other"));
    });
}

fn listed_index(host: &mut netlink::Rtnetlink) -> u32 {
    host.veths().unwrap()[0].index
}

#[test]
fn a_link_is_found_by_alternative_names() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| both.bridge());
    let long = "a-name-of-more-than-fifteen-bytes";
    for name in ["short", long] {
        pair.host
            .ip(&format!("link property add dev cni0 altname {name}"));
    }
    pair.run(|both| {
        for name in ["short", long] {
            let link = both.host.link_by_name(name).unwrap().unwrap();
            assert_eq!(link.name, "cni0", "{name}");
        }
        for name in ["other", "another-name-of-more-than-fifteen-bytes"] {
            assert_eq!(both.host.link_by_name(name).unwrap(), None, "{name}");
        }
    });
}

#[test]
fn the_kernels_own_words_are_in_the_error() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let change = LinkChange {
            master: Some(bridge.index),
            ..LinkChange::default()
        };
        let change = Change::SetLink {
            link: bridge.index,
            change,
        };
        let error = both.host.apply(&[change]);
        let expected = "cannot change link cni0: Too many symbolic links encountered: \
                        Can not enslave a bridge to a bridge";
        assert_eq!(error.unwrap_err().to_string(), expected);
        let refused = refusal_of("nosuchkind");
        assert!(refused.is_unsupported(), "{refused}");
        assert_eq!(
            refused.to_string(),
            "cannot create nosuchkind: Operation not supported on transport endpoint: Unknown \
                device type"
        );
    });
}

#[test]
fn each_of_many_changes_is_tried_and_has_its_own_result() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let mtu = |mtu| LinkChange {
            mtu: Some(mtu),
            ..LinkChange::default()
        };
        let changes = [
            Change::DeleteLink { link: 4711 },
            Change::SetLink {
                link: bridge.index,
                change: mtu(1400),
            },
            Change::SetLink {
                link: 4712,
                change: mtu(1400),
            },
            Change::SetLink {
                link: bridge.index,
                change: mtu(1300),
            },
        ];
        let applied = both.host.apply_each(&changes).unwrap();
        let (tried, results): (Vec<_>, Vec<_>) =
            applied.into_iter().map(|it| (it.change, it.result)).unzip();
        assert!(tried.into_iter().eq(&changes));
        let reason = |result: Result<(), NetlinkError>| result.map_err(|error| error.errno());
        let results: Vec<_> = results.into_iter().map(reason).collect();
        let refused = Err(Some(Errno::ENODEV));
        assert_eq!(results, [refused, Ok(()), refused, Ok(())]);
        let error = both.host.apply(&changes).unwrap_err();
        assert_eq!(error.to_string(), "cannot delete link 4711: No such device");
        // The last one's refusal ends it as its acknowledgement would.
        let error = both.host.apply(&changes[1..3]).unwrap_err();
        assert!(error.to_string().starts_with("cannot change link 4712: "));
        // And nothing is left over for the next.
        assert_eq!(both.host.link_by_name("cni0").unwrap().unwrap().mtu, 1400);
        both.host.apply(&[]).unwrap();
    });
}

#[test]
fn a_change_is_printed_with_the_index_of_its_link() {
    let address = "10.244.1.1/24".parse().unwrap();
    let route = Route {
        gateway: Some([10, 244, 1, 1].into()),
        link: Some(7),
        ..Route::to("0.0.0.0/0".parse().unwrap())
    };
    let vlans = vec![PortVlans::access(100)];
    for (change, text) in [
        (
            Change::add_address(7, address, false),
            "add address 10.244.1.1/24 to link 7",
        ),
        (Change::DeleteLink { link: 7 }, "delete link 7"),
        (
            Change::DeleteRoute { route },
            "remove route to 0.0.0.0/0 via 10.244.1.1 by link 7",
        ),
        (
            Change::AddVlans {
                owner: VlanOwner::Port(7),
                vlans,
            },
            "add VLANs to bridge port 7",
        ),
    ] {
        assert_eq!(change.to_string(), text);
        assert_eq!(change.link(), Some(7));
        assert_eq!(change, change.clone());
    }
}

#[test]
fn several_questions_travel_together() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let question = |name: &str| link_message(libc::RTM_GETLINK, name, Answer::Message);
        let questions = ["cni0", "missing", "lo"].map(question);
        let [one, missing, other] = &questions;
        let mut socket = Socket::open(Protocol::Route).unwrap();
        let outcomes = socket.exchange(&[one, missing, other]).unwrap();
        let index = |outcome: RequestOutcome| {
            let reply = outcome.map_err(|error| error.is_not_found())?.unwrap();
            Ok(u32::from_ne_bytes(reply.payload[4..8].try_into().unwrap()))
        };
        let indexes: Vec<Result<u32, bool>> = outcomes.into_iter().map(index).collect();
        assert_eq!(indexes, [Ok(bridge.index), Err(true), Ok(1)]);
    });
}

/// A message about the link of a name.
fn link_message(message_type: u16, name: &str, answer: Answer) -> KernelRequest {
    // struct ifinfomsg
    let payload = Attributes::after(&[0; 16]).text(libc::IFLA_IFNAME, name);
    KernelRequest {
        what: format!("find {name}"),
        message_type,
        flags: 0,
        payload: payload.into_bytes(),
        answer,
    }
}

/// The kernel's refusal to create a link of a kind.
fn refusal_of(kind: &str) -> NetlinkError {
    let info = Attributes::new().text(libc::IFLA_INFO_KIND, kind);
    let link = Attributes::after(&[0; 16]).nest(libc::IFLA_LINKINFO, info);
    let request = KernelRequest {
        what: format!("create {kind}"),
        flags: libc::NLM_F_CREATE as u16,
        payload: link.into_bytes(),
        ..link_message(libc::RTM_NEWLINK, kind, Answer::Acknowledgement)
    };
    let mut socket = Socket::open(Protocol::Route).unwrap();
    let mut outcomes = socket.exchange(&[&request]).unwrap();
    outcomes.pop().unwrap().unwrap_err()
}
