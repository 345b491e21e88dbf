//! Tests of reading the kernel's messages: whole, truncated and invalid ones.

use std::net::Ipv4Addr;

use nix::libc;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::attributes::Attributes;
use crate::kernel_message::reply_with;
use crate::link::LinkHeader;
use crate::uapi::{
    FR_ACT_TO_TBL, FRA_PRIORITY, FRA_SRC, FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, IFA_PROTO,
    IFLA_BR_VLAN_DEFAULT_PVID, IFLA_BR_VLAN_FILTERING, IFLA_BRPORT_ISOLATED, IFLA_BRPORT_LEARNING,
    IFLA_BRPORT_MODE, IFLA_BRPORT_STATE, IFLA_INET_CONF, IFLA_INET6_CONF, RTAX_MTU,
};
use crate::{
    BridgePort, Given, Link, LinkAddress, LinkKind, Mac, OperState, Parent, Route, SourceRule, vlan,
};

const MAC: Mac = Mac([0x0a, 0x58, 0x0a, 0xf4, 0x01, 0x02]);

/// Reads a message with every reader. Returns the number of readers that accept it.
fn read(payload: &[u8]) -> usize {
    let reply = reply_with(payload);
    [
        Link::parse(&reply).is_ok(),
        LinkAddress::parse(&reply).is_ok(),
        Route::parse(&reply).is_ok(),
        SourceRule::parse(&reply).is_ok(),
        vlan::parse(&reply).is_ok(),
    ]
    .into_iter()
    .filter(|is_read| *is_read)
    .count()
}

/// Settings of a link, four bytes each, of which this one has this value.
fn settings(count: usize, position: usize, value: i32) -> Vec<u8> {
    let mut settings = vec![0_i32; count];
    settings[position] = value;
    settings.into_iter().flat_map(i32::to_ne_bytes).collect()
}

/// A port of a bridge that is a bridge itself, which no kernel reports.
fn link_message() -> Vec<u8> {
    let bridge = Attributes::new()
        .u8(IFLA_BR_VLAN_FILTERING, 1)
        .u16(IFLA_BR_VLAN_DEFAULT_PVID, 7);
    let port = Attributes::new()
        .u8(IFLA_BRPORT_STATE, 3)
        .u8(IFLA_BRPORT_MODE, 1)
        .u8(IFLA_BRPORT_LEARNING, 0)
        .u8(IFLA_BRPORT_ISOLATED, 1);
    let info = Attributes::new()
        .text(libc::IFLA_INFO_KIND, "bridge")
        .nest(libc::IFLA_INFO_DATA, bridge)
        .text(libc::IFLA_INFO_SLAVE_KIND, "bridge")
        .nest(libc::IFLA_INFO_SLAVE_DATA, port);
    let v4 = Attributes::new().bytes(IFLA_INET_CONF, &settings(33, 0, 0));
    let v6 = Attributes::new().bytes(IFLA_INET6_CONF, &settings(58, 26, 1));
    let families = Attributes::new()
        .nest(libc::AF_INET as u16, v4)
        .nest(libc::AF_INET6 as u16, v6);
    let mut header = LinkHeader::of(5);
    header.set(libc::IFF_UP, Some(true));
    header.set(libc::IFF_PROMISC, Some(true));
    header
        .attributes()
        .text(libc::IFLA_IFNAME, "veth0")
        .text(libc::IFLA_IFALIAS, "alias")
        .bytes(libc::IFLA_ADDRESS, &MAC.0)
        .u32(libc::IFLA_MTU, 1450)
        .u32(libc::IFLA_MASTER, 3)
        .u8(libc::IFLA_OPERSTATE, 6)
        .u32(libc::IFLA_LINK, 2)
        .u32(libc::IFLA_LINK_NETNSID, 0)
        .nest(libc::IFLA_LINKINFO, info)
        .nest(libc::IFLA_AF_SPEC, families)
        .into_bytes()
}

fn address_message() -> Vec<u8> {
    let lifetime = [1800_u32, 3600, 0, 0].map(u32::to_ne_bytes);
    Attributes::after(&[libc::AF_INET as u8, 24, 0, 0, 5, 0, 0, 0])
        .ip(libc::IFA_LOCAL, Ipv4Addr::new(10, 244, 1, 1).into())
        .ip(libc::IFA_ADDRESS, Ipv4Addr::new(10, 244, 1, 9).into())
        .ip(libc::IFA_BROADCAST, Ipv4Addr::new(10, 244, 1, 255).into())
        .text(libc::IFA_LABEL, "cni0")
        .bytes(libc::IFA_CACHEINFO, lifetime.as_flattened())
        .u32(libc::IFA_FLAGS, libc::IFA_F_TENTATIVE | libc::IFA_F_NODAD)
        .u8(IFA_PROTO, 84)
        .into_bytes()
}

/// A route with two next hops.
fn route_message() -> Vec<u8> {
    let next_hop = |link: u8, gateway: [u8; 4]| {
        let header = [16, 0, 0, 0, link, 0, 0, 0];
        let hop = Attributes::after(&header).ip(libc::RTA_GATEWAY, gateway.into());
        hop.into_bytes()
    };
    let next_hops = [next_hop(5, [10, 244, 1, 1]), next_hop(6, [10, 244, 2, 1])].concat();
    let header = [libc::AF_INET as u8, 16, 0, 0, 254, 3, 0, 1, 4, 0, 0, 0];
    Attributes::after(&header)
        .ip(libc::RTA_DST, Ipv4Addr::new(192, 168, 0, 0).into())
        .u32(libc::RTA_TABLE, 4711)
        .u32(libc::RTA_PRIORITY, 50)
        .nest(libc::RTA_METRICS, Attributes::new().u32(RTAX_MTU, 1400))
        .bytes(libc::RTA_MULTIPATH, &next_hops)
        .into_bytes()
}

fn rule_message() -> Vec<u8> {
    let header = [
        libc::AF_INET as u8,
        0,
        32,
        0,
        100,
        0,
        0,
        FR_ACT_TO_TBL,
        0,
        0,
        0,
        0,
    ];
    Attributes::after(&header)
        .ip(FRA_SRC, Ipv4Addr::new(10, 244, 1, 7).into())
        .u32(FRA_PRIORITY, 40)
        .u32(FRA_SUPPRESS_PREFIXLEN, u32::MAX)
        .u32(FRA_TABLE, 70_000)
        .into_bytes()
}

// Their numbers are in the byte order of the machines that these tests run on.
#[test]
fn whole_messages() {
    let link = Link {
        index: 5,
        name: "veth0".to_owned(),
        alias: Some("alias".to_owned()),
        kind: LinkKind::Bridge {
            vlan_filtering: true,
            default_pvid: 7,
        },
        mac: Some(MAC),
        mtu: 1450,
        master: Some(3),
        port: Some(BridgePort {
            hairpin: true,
            isolated: true,
            learning: false,
            is_forwarding: true,
        }),
        is_up: true,
        state: OperState::Up,
        is_promiscuous: true,
        parent: Some(Parent {
            index: 2,
            netns: Some(0),
        }),
        accept_ra: Some(0),
        is_ipv6_off: true,
        is_ipv4_forwarding_off: true,
    };
    assert_eq!(Link::parse(&reply_with(&link_message())), Ok(link));

    let address = LinkAddress {
        network: "10.244.1.1/24".parse().unwrap(),
        given: Given {
            protocol: 84,
            scope: 0,
            label: Some("cni0".to_owned()),
            broadcast: Some([10, 244, 1, 255].into()),
            peer: Some([10, 244, 1, 9].into()),
            metric: None,
            lifetime: Some((1800, 3600)),
            flags: libc::IFA_F_NODAD,
        },
        is_tentative: true,
        is_duplicate: false,
    };
    let read = LinkAddress::parse(&reply_with(&address_message()));
    assert_eq!(read, Ok(Some(address)));

    let route = |link, gateway: [u8; 4]| Route {
        gateway: Some(gateway.into()),
        link: Some(link),
        priority: Some(50),
        table: 4711,
        scope: Some(0),
        mtu: Some(1400),
        is_onlink: true,
        ..Route::to("192.168.0.0/16".parse().unwrap())
    };
    let routes = vec![route(5, [10, 244, 1, 1]), route(6, [10, 244, 2, 1])];
    assert_eq!(Route::parse(&reply_with(&route_message())), Ok(routes));

    let rule = SourceRule {
        source: "10.244.1.7/32".parse().unwrap(),
        table: 70_000,
    };
    let read = SourceRule::parse(&reply_with(&rule_message()));
    assert_eq!(read, Ok(Some(rule)));
}

#[test]
fn messages_that_are_cut_off_anywhere_or_damaged() {
    for message in [
        link_message(),
        address_message(),
        route_message(),
        rule_message(),
    ] {
        assert!(read(&message) > 0);
        for length in 0..message.len() {
            read(&message[..length]);
        }
        for position in 0..message.len() {
            for value in [0, 1, 3, 4, 5, 8, 0x7f, 0x80, 0xff] {
                let mut damaged = message.clone();
                damaged[position] = value;
                read(&damaged);
            }
        }
    }
    // A next hop that is shorter than its header.
    let route = Attributes::after(&route_message()[..12]).bytes(libc::RTA_MULTIPATH, &[4, 0, 0]);
    assert!(Route::parse(&reply_with(route.as_bytes())).is_err());
    assert_eq!(read(&[]), 1, "no VLANs are in an empty message");
}

/// Attributes of any kind, some of which consist of attributes.
fn attributes() -> impl Strategy<Value = Vec<u8>> {
    let value = vec(any::<u8>(), 0..40);
    value.prop_recursive(3, 24, 6, |inner| {
        vec((0..64_u16, inner), 0..6).prop_map(|attributes| {
            let write = |to: Attributes, (kind, value): (u16, Vec<u8>)| to.bytes(kind, &value);
            let written = attributes.into_iter().fold(Attributes::new(), write);
            written.into_bytes()
        })
    })
}

proptest! {
    #[test]
    fn messages_that_make_no_sense(
        family in prop_oneof![Just(libc::AF_INET as u8), Just(libc::AF_INET6 as u8), any::<u8>()],
        header in vec(any::<u8>(), 0..16),
        attributes in attributes(),
    ) {
        let payload = [&[family][..], &header, &attributes].concat();
        prop_assert!(read(&payload) <= 5);
    }
}
