//! What an attachment costs at least: a veth with a bridge, an address and a route, made and
//! removed.
//!
//! `cargo run --release -p netlink --example floor` prints median microseconds. It makes namespaces
//! of its own (root).

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement for the terminal"
)]

use std::time::{Duration, Instant};

use netlink::{
    Change, Existing, LinkChange, LinkRef, Mac, NetlinkError, Netns, NewLink, PortChange, Route,
    Rtnetlink,
};

const ROUNDS: usize = 500;

fn main() {
    let (host, container) = (
        testkit::NetNs::new().unwrap(),
        testkit::NetNs::new().unwrap(),
    );
    let container = Netns::open(&container.path()).unwrap();
    host.enter(|| measure(&container)).unwrap();
}

fn measure(container: &Netns) -> Result<(), NetlinkError> {
    let home = Netns::current()?;
    let bridge = NewLink {
        mac: Some(Mac::random()),
        is_up: true,
        ..NewLink::named("cni0")
    };
    Rtnetlink::open()?.create(Change::create_bridge(&bridge, None), "cni0")?;

    let mut steps: Vec<(&str, Vec<Duration>)> = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut last = start;
        let mut step = 0;
        let mut done = |name| {
            let now = Instant::now();
            if steps.len() == step {
                steps.push((name, Vec::new()));
            }
            if let Some((_, times)) = steps.get_mut(step) {
                times.push(now - last);
            }
            last = now;
            step += 1;
        };

        let mut outside = Rtnetlink::open()?;
        let mut inside = Rtnetlink::open_in(container, &home)?;
        done("two sockets");
        let bridge = outside.perform_and_read(&[], LinkRef::Name("cni0"))?;
        done("find the bridge");
        let near = NewLink {
            master: Some(bridge.index),
            is_up: true,
            ..NewLink::named("veth0")
        };
        let pair = Change::create_veth(&near, &NewLink::named("eth0"), container);
        let near = outside.create(pair, "veth0")?;
        let far = near.parent.map_or(0, |parent| parent.index);
        done("make the pair");
        let port = LinkChange {
            port: PortChange {
                hairpin: Some(true),
                ..PortChange::default()
            },
            ..LinkChange::default()
        };
        outside.perform(&[Change::change_link(near.index, &port)])?;
        done("set hairpin mode");
        let up = LinkChange {
            is_up: Some(true),
            ..LinkChange::default()
        };
        let route = Route {
            gateway: Some([10, 244, 0, 1].into()),
            link: Some(far),
            ..Route::to("0.0.0.0/0".parse().unwrap())
        };
        let address = "10.244.0.2/24".parse().unwrap();
        inside.perform_and_read(
            &[
                Change::change_link(far, &up),
                Change::add_address(far, address, false),
                Change::add_route(&route, Existing::Join),
            ],
            LinkRef::Index(far),
        )?;
        done("set up, address, route");
        let timeout = Duration::from_secs(5);
        outside.wait_for_link(near.index, timeout, "up", |link| {
            link.is_operational() && link.port.is_some_and(|port| port.is_forwarding)
        })?;
        done("wait for the port");
        drop((outside, inside));
        done("close both sockets");

        let mut inside = Rtnetlink::open_in(container, &home)?;
        let link = inside.perform_and_read(&[], LinkRef::Name("eth0"))?;
        done("find the link to remove");
        inside.remove_links(&[link.index])?;
        done("remove it");
    }
    let mut create = 0;
    for (position, (name, times)) in steps.iter_mut().enumerate() {
        times.sort_unstable();
        let median = times.get(times.len() / 2).map_or(0, Duration::as_micros);
        println!("{median:>7} µs  {name}");
        if position < 7 {
            create += median;
        }
    }
    println!("{create:>7} µs  for everything but removing");
    Ok(())
}
