//! Tests of links.

use netlink::{BridgePort, Change, Kind, LinkChange, LinkRef, Mac, NewLink, PortChange};
use nix::errno::Errno;

use crate::{BRIDGE_MAC, Pair, flags};

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
        let create = Change::create_bridge(&bridge, None);
        let made = both.host.create(create.clone(), "cni0").unwrap();
        let error = both.host.create(create, "cni0").unwrap_err();
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
    let Kind::Bridge { vlan_filtering, .. } = made.kind else {
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
        let near = NewLink {
            master: Some(bridge.index),
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            ..NewLink::named("veth0")
        };
        let far = NewLink::named("eth0");
        both.host
            .create(Change::create_veth(&near, &far, &both.netns), "veth0")
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
        let near = NewLink {
            mac: Some(near_mac),
            mtu: Some(1400),
            master: Some(bridge.index),
            is_up: true,
            ..NewLink::named("veth0")
        };
        let far = NewLink {
            mac: Some(far_mac),
            mtu: Some(1300),
            // The kernel would refuse this at the far end.
            is_up: true,
            ..NewLink::named("eth0")
        };
        let create = Change::create_veth(&near, &far, &both.netns);
        let near = both.host.create(create, "veth0").unwrap();
        let far = both.container.link_by_name("eth0").unwrap().unwrap();
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
    assert_eq!((&near.kind, &far.kind), (&Kind::Veth, &Kind::Veth));
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
            let create =
                Change::create_veth(&NewLink::named(near), &NewLink::named(far), &both.netns);
            let error = both.host.create(create, near).unwrap_err();
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
        let create = Change::create_veth(
            &NewLink::named("veth0"),
            &NewLink::named("eth0"),
            &both.netns,
        );
        let made = both.host.create(create, "veth0").unwrap();
        assert_eq!(made.port, None);
        let change = LinkChange {
            name: Some("veth.5"),
            mtu: Some(1280),
            mac: Some(Mac([0x0a, 0x58, 0, 0, 0, 9])),
            master: Some(bridge.index),
            is_promiscuous: Some(true),
            is_up: Some(true),
            ..LinkChange::default()
        };
        let change = Change::change_link(made.index, &change);
        both.host
            .perform_and_read(&[change], LinkRef::Index(made.index))
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
        let change = Change::change_link(changed.index, &change);
        both.host
            .perform_and_read(&[change], LinkRef::Index(changed.index))
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
        let change = Change::change_link(near.index, &change);
        let port = both
            .host
            .perform_and_read(&[change], LinkRef::Index(near.index));
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
        let other = Change::create_bridge(&NewLink::named("cni1"), None);
        let other = both.host.create(other, "cni1").unwrap();
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
            .perform(&[Change::delete_link(far.index)])
            .unwrap();
        assert_eq!(both.host.link_by_name("veth0").unwrap(), None);
        assert_eq!(both.host.link_by_index(near.index).unwrap(), None);
        let again = both.container.perform(&[Change::delete_link(far.index)]);
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
        let near = NewLink {
            master: Some(bridge.index),
            ..NewLink::named("veth0")
        };
        let make = || Change::create_veth(&near, &NewLink::named("eth0"), &both.netns);
        let alias = "x".repeat(254);
        let made = both.host.create_with_alias(make(), "veth0", &alias);
        assert_eq!(made.unwrap().alias, Some(alias.clone()));
        let again = both.host.create_with_alias(make(), "veth0", &alias);
        assert!(again.unwrap_err().is_exists());
        let listed = both.host.veths().unwrap();
        let listed = listed.iter().map(|link| (link.name.as_str(), &link.alias));
        assert_eq!(listed.collect::<Vec<_>>(), [("veth0", &Some(alias))]);
        assert_eq!(both.container.veths().unwrap()[0].alias, None);
        let change = LinkChange {
            alias: Some("other"),
            ..LinkChange::default()
        };
        let index = listed_index(&mut both.host);
        both.host
            .perform(&[Change::change_link(index, &change)])
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
        let change = Change::change_link(bridge.index, &change);
        let error = both.host.perform(&[change]);
        let expected = "cannot change link cni0: Too many symbolic links encountered: \
                        Can not enslave a bridge to a bridge";
        assert_eq!(error.unwrap_err().to_string(), expected);
        let kind = netlink_kind("nosuchkind");
        let refused = refusal_of(&kind);
        assert!(refused.is_unsupported(), "{refused}");
        assert_eq!(
            refused.to_string(),
            "cannot create nosuchkind: Operation not supported on transport endpoint: Unknown \
                device type"
        );
    });
}

#[test]
fn of_many_changes_each_is_tried_and_each_refusal_told() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let mtu = |mtu| LinkChange {
            mtu: Some(mtu),
            ..LinkChange::default()
        };
        let changes = [
            Change::delete_link(4711),
            Change::change_link(bridge.index, &mtu(1400)),
            Change::change_link(4712, &mtu(1400)),
            Change::change_link(bridge.index, &mtu(1300)),
        ];
        let refusals = both.host.perform_each(&changes).unwrap();
        let refusals: Vec<_> = refusals
            .iter()
            .map(|(position, error)| (*position, error.errno()))
            .collect();
        assert_eq!(
            refusals,
            [(0, Some(Errno::ENODEV)), (2, Some(Errno::ENODEV))]
        );
        let error = both.host.perform(&changes).unwrap_err();
        assert_eq!(error.to_string(), "cannot delete link 4711: No such device");
        // The last one's refusal ends it as its acknowledgement would.
        let error = both.host.perform(&changes[1..3]).unwrap_err();
        assert!(error.to_string().starts_with("cannot change link 4712: "));
        // And nothing is left over for the next.
        assert_eq!(both.host.link_by_name("cni0").unwrap().unwrap().mtu, 1400);
        both.host.perform(&[]).unwrap();
    });
}

#[test]
fn several_questions_travel_together() {
    use netlink_packet_route::RouteNetlinkMessage::GetLink;
    use netlink_packet_route::link::{LinkAttribute, LinkMessage};
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let question = |name: &str| {
            let mut message = LinkMessage::default();
            message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
            netlink::Request {
                what: format!("find {name}"),
                payload: GetLink(message),
                flags: 0,
                answer: netlink::Answer::Message,
            }
        };
        let questions = ["cni0", "missing", "lo"].map(question);
        let [one, missing, other] = &questions;
        let mut socket = netlink::Socket::open(netlink::Protocol::Route).unwrap();
        let mut answers = Vec::new();
        let refusals = socket.exchange(&[one, missing, other], |position, reply| {
            let index = u32::from_ne_bytes(reply.payload[4..8].try_into().unwrap());
            answers.push((position, index));
            Ok(())
        });
        let refusals = refusals.unwrap();
        assert_eq!(answers, [(0, bridge.index), (2, 1)]);
        assert_eq!(refusals.len(), 1);
        assert_eq!((refusals[0].0, refusals[0].1.is_not_found()), (1, true));
    });
}

fn netlink_kind(kind: &str) -> netlink::Request<netlink_packet_route::RouteNetlinkMessage> {
    use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
    let mut message = LinkMessage::default();
    let kind = InfoKind::Other(kind.to_owned());
    message.attributes = vec![LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind.clone())])];
    netlink::Request {
        what: format!("create {kind}"),
        payload: netlink_packet_route::RouteNetlinkMessage::NewLink(message),
        flags: netlink_packet_core::NLM_F_CREATE,
        answer: netlink::Answer::Acknowledgement,
    }
}

fn refusal_of(
    request: &netlink::Request<netlink_packet_route::RouteNetlinkMessage>,
) -> netlink::NetlinkError {
    let mut socket = netlink::Socket::open(netlink::Protocol::Route).unwrap();
    let mut refusals = socket.exchange(&[request], |_, _| Ok(())).unwrap();
    refusals.pop().unwrap().1
}
