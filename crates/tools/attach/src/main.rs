//! Attaches a container to a bridge and does nothing else: the least that a plugin with the same
//! task can cost.
//!
//! `attach add NETNS BRIDGE MTU ADDRESS GATEWAY DESTINATION…` creates `eth0` in a network
//! namespace: the end of a veth pair whose other end is a port of an existing bridge, in hairpin
//! mode. `eth0` gets the address, and routes to the destinations through the gateway. `attach del
//! NETNS` removes `eth0`. `cargo xtask bench chain` measures the program beside the plugins. It
//! needs root.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use ipnetwork::IpNetwork;
use netlink::{
    Change, Existing, Link, LinkChange, LinkRef, Netns, NewLink, NewPeer, NewVeth, PortChange,
    Route, Rtnetlink, Veth, random_name,
};

const IFNAME: &str = "eth0";
const TIMEOUT: Duration = Duration::from_secs(5);
const USAGE: &str =
    "usage: attach add NETNS BRIDGE MTU ADDRESS GATEWAY DESTINATION... | attach del NETNS";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        [
            "add",
            netns,
            bridge,
            mtu,
            address,
            gateway,
            ref destinations @ ..,
        ] => {
            let routes = destinations.iter().map(|destination| {
                Ok(Route {
                    gateway: Some(gateway.parse()?),
                    ..Route::to(destination.parse()?)
                })
            });
            let routes = routes.collect::<Result<Vec<Route>, Box<dyn Error>>>()?;
            add(
                Path::new(netns),
                bridge,
                mtu.parse()?,
                address.parse()?,
                &routes,
            )
        }
        ["del", netns] => delete(Path::new(netns)),
        _ => Err(USAGE.into()),
    }
}

fn add(
    netns: &Path,
    bridge: &str,
    mtu: u32,
    address: IpNetwork,
    routes: &[Route],
) -> Result<(), Box<dyn Error>> {
    let netns = Netns::open(netns)?;
    let mut outside = Rtnetlink::open()?;
    let mut inside = Rtnetlink::open_in(&netns, &Netns::current()?)?;
    let bridge = outside.apply_and_read(&[], LinkRef::Name(bridge))?;

    let name = random_name("veth");
    let port = NewLink {
        mtu: Some(mtu),
        master: Some(bridge.index),
        is_up: true,
        ..NewLink::named(&name)
    };
    let peer = NewPeer {
        name: IFNAME,
        netns: &netns,
        mtu: Some(mtu),
        mac: None,
    };
    let Veth { port, peer } = outside.create_veth(&NewVeth { port, peer }, None)?;

    let mut changes = vec![
        Change::SetLink {
            link: peer.index,
            change: LinkChange::up(true),
        },
        Change::add_address(peer.index, address, false),
    ];
    changes.extend(routes.iter().map(|route| {
        let route = Route {
            link: Some(peer.index),
            ..*route
        };
        Change::AddRoute {
            route,
            existing: Existing::Join,
        }
    }));
    inside.apply(&changes)?;

    let hairpin = LinkChange {
        port: PortChange {
            hairpin: Some(true),
            ..PortChange::default()
        },
        ..LinkChange::default()
    };
    let hairpin = Change::SetLink {
        link: port.index,
        change: hairpin,
    };
    let port = outside.apply_and_read(&[hairpin], LinkRef::Index(port.index))?;
    if !is_usable(&port) {
        outside.wait_for_link(port.index, TIMEOUT, "up", is_usable)?;
    }
    Ok(())
}

/// Whether frames pass the bridge's port.
fn is_usable(port: &Link) -> bool {
    port.is_operational() && port.port.is_some_and(|port| port.is_forwarding)
}

fn delete(netns: &Path) -> Result<(), Box<dyn Error>> {
    let mut inside = Rtnetlink::open_in(&Netns::open(netns)?, &Netns::current()?)?;
    let link = inside.apply_and_read(&[], LinkRef::Name(IFNAME))?;
    inside.remove_links(&[link.index])?;
    Ok(())
}
