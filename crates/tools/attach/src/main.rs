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
    Change, Existing, Link, LinkChange, LinkRef, Netns, NewLink, PortChange, Route, Rtnetlink,
    random_name,
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
    let bridge = outside.perform_and_read(&[], LinkRef::Name(bridge))?;

    let name = random_name("veth");
    let near = NewLink {
        mtu: Some(mtu),
        master: Some(bridge.index),
        is_up: true,
        ..NewLink::named(&name)
    };
    let far = NewLink {
        mtu: Some(mtu),
        ..NewLink::named(IFNAME)
    };
    let near = outside.create(Change::create_veth(&near, &far, &netns), &name)?;
    let far = near.parent.ok_or("a veth has another end")?.index;

    let up = LinkChange {
        is_up: Some(true),
        ..LinkChange::default()
    };
    let mut changes = vec![
        Change::change_link(far, &up),
        Change::add_address(far, address, false),
    ];
    changes.extend(routes.iter().map(|route| {
        let route = Route {
            link: Some(far),
            ..*route
        };
        Change::add_route(&route, Existing::Join)
    }));
    inside.perform(&changes)?;

    let hairpin = LinkChange {
        port: PortChange {
            hairpin: Some(true),
            ..PortChange::default()
        },
        ..LinkChange::default()
    };
    let hairpin = Change::change_link(near.index, &hairpin);
    let near = outside.perform_and_read(&[hairpin], LinkRef::Index(near.index))?;
    if !is_usable(&near) {
        outside.wait_for_link(near.index, TIMEOUT, "up", is_usable)?;
    }
    Ok(())
}

/// Whether frames pass the bridge's port.
fn is_usable(near: &Link) -> bool {
    near.is_operational() && near.port.is_some_and(|port| port.is_forwarding)
}

fn delete(netns: &Path) -> Result<(), Box<dyn Error>> {
    let mut inside = Rtnetlink::open_in(&Netns::open(netns)?, &Netns::current()?)?;
    let link = inside.perform_and_read(&[], LinkRef::Name(IFNAME))?;
    inside.remove_links(&[link.index])?;
    Ok(())
}
