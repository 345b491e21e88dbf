//! Tests of waiting.

use std::thread;
use std::time::{Duration, Instant};

use netlink::{Change, Link, LinkChange, NetlinkError, NewLink, sysctl};

use crate::{Both, Pair, up};

const LONG: Duration = Duration::from_secs(10);

fn is_forwarding(link: &Link) -> bool {
    link.is_operational() && link.port.is_some_and(|port| port.is_forwarding)
}

#[test]
fn a_port_passes_frames_once_the_other_end_is_up() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let (near, far) = both.veth("veth0", "eth0", bridge.index);
        let error = both
            .host
            .wait_for_link(near.index, Duration::from_millis(30), "up", is_forwarding)
            .unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(error.to_string(), "link veth0 up is not so after 0.03 s");

        let container = &mut both.container;
        let waited = thread::scope(|scope| {
            let set_up = scope.spawn(move || {
                thread::sleep(Duration::from_millis(100));
                let now = Instant::now();
                container
                    .apply(&[Change::SetLink {
                        link: far.index,
                        change: up(),
                    }])
                    .unwrap();
                now
            });
            let waited = both
                .host
                .wait_for_link(near.index, LONG, "up", is_forwarding);
            let late = Instant::now() - set_up.join().unwrap();
            assert!(late < Duration::from_secs(2), "{late:?}");
            waited.unwrap()
        });
        assert!(waited.is_up);
        // The events that were not looked at are no answers to what comes next.
        let change = LinkChange {
            mtu: Some(1400),
            ..LinkChange::default()
        };
        let change = Change::SetLink {
            link: near.index,
            change,
        };
        both.host.apply(&[change]).unwrap();
        let near = both.host.link_by_name("veth0").unwrap().unwrap();
        assert_eq!(near.mtu, 1400);
    });
    let port = pair.bridge(&["link", "show", "dev", "veth0"]);
    assert_eq!(port[0]["state"], "forwarding");
}

#[test]
fn waiting_ends_when_the_link_goes() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let (near, far) = both.veth("veth0", "eth0", bridge.index);
        let container = &mut both.container;
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(100));
                container
                    .apply(&[Change::DeleteLink { link: far.index }])
                    .unwrap();
            });
            let waited = both
                .host
                .wait_for_link(near.index, LONG, "up", is_forwarding);
            let error = waited.unwrap_err();
            assert!(error.is_not_found(), "{error}");
        });
    });
}

#[test]
fn an_ipv6_address_is_local_once_the_wait_is_over() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let (near, far) = both.veth("veth0", "eth0", bridge.index);
        let up = |link| Change::SetLink { link, change: up() };
        both.host.apply(&[up(near.index)]).unwrap();
        both.container.apply(&[up(far.index)]).unwrap();
        let addresses = ["fd00::2", "fd00::3"].map(|address| address.parse().unwrap());
        let moment = Duration::from_millis(30);
        let wait = |both: &mut Both, timeout| both.container.wait_for_local(&addresses, timeout);
        let add = |network: &str| Change::add_address(far.index, network.parse().unwrap(), false);

        both.container.apply(&[add("fd00::2/64")]).unwrap();
        let error = wait(both, moment).unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(
            error.to_string(),
            "each new IPv6 address complete is not so after 0.03 s"
        );
        both.container.apply(&[add("fd00::3/64")]).unwrap();
        wait(both, LONG).unwrap();
        // Both are there, so there is nothing to wait for.
        wait(both, Duration::ZERO).unwrap();
        both.container.wait_for_local(&[], Duration::ZERO).unwrap();
    });
}

/// Two links in the container on one bridge, with duplicate address detection that waits for no
/// router.
fn two_links(both: &mut Both) -> (u32, u32) {
    let bridge = both.bridge();
    let (_, one) = both.veth("veth0", "eth0", bridge.index);
    let (_, other) = both.veth("veth1", "eth1", bridge.index);
    let changes = [one.index, other.index].map(|index| Change::SetLink {
        link: index,
        change: up(),
    });
    both.container.apply(&changes).unwrap();
    (one.index, other.index)
}

#[test]
fn addresses_that_nobody_else_has_settle() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let (link, _) = two_links(both);
        let address = "2001:db8::7/64".parse().unwrap();
        let add = Change::add_address(link, address, true);
        both.container.apply(&[add]).unwrap();
        let listed = both.container.addresses(link, None).unwrap();
        assert!(listed.iter().any(|address| address.is_tentative));
        let soon = both
            .container
            .wait_for_addresses(link, Duration::from_millis(10));
        assert!(soon.unwrap_err().is_timeout());
        both.container.wait_for_addresses(link, LONG).unwrap();
        let listed = both.container.addresses(link, None).unwrap();
        assert!(listed.iter().any(|found| found.network == address));
        assert!(!listed.iter().any(|address| address.is_tentative));
    });
    let tentative = ["address", "show", "dev", "eth0", "tentative"];
    assert_eq!(pair.container.ip_json(&tentative), serde_json::json!([]));
}

#[test]
fn an_address_that_another_machine_has_is_reported() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let bridge = both.bridge();
        let (near, far) = both.veth("veth0", "eth0", bridge.index);
        let address = "2001:db8::7/64".parse().unwrap();
        both.host
            .apply(&[Change::add_address(bridge.index, address, false)])
            .unwrap();
        // Else the node's own addresses are asked for first, and the answer comes late.
        let no_delay = || -> Result<(), NetlinkError> {
            sysctl::write(&["ipv6", "conf", "eth0", "router_solicitations"], "0").unwrap();
            Ok(())
        };
        both.netns.enter(&both.home, no_delay).unwrap();
        both.container
            .apply(&[Change::SetLink {
                link: far.index,
                change: up(),
            }])
            .unwrap();
        both.host
            .wait_for_link(near.index, LONG, "up", is_forwarding)
            .unwrap();
        both.container
            .apply(&[Change::add_address(far.index, address, true)])
            .unwrap();
        let error = both
            .container
            .wait_for_addresses(far.index, LONG)
            .unwrap_err();
        let NetlinkError::DuplicateAddress { address, link } = &error else {
            panic!("{error}");
        };
        assert_eq!(
            (address.to_string().as_str(), link.as_str()),
            ("2001:db8::7", "eth0")
        );
    });
}

#[test]
fn a_link_that_is_gone_is_not_waited_for() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let started = Instant::now();
        let created = both.host.create_bridge(&NewLink::named("gone0"), None);
        let index = created.unwrap().index;
        both.host
            .apply(&[Change::DeleteLink { link: index }])
            .unwrap();
        let waited = both.host.wait_for_link(index, LONG, "up", |_| true);
        assert!(waited.unwrap_err().is_not_found());
        let waited = both.host.wait_for_addresses(index, LONG);
        assert!(waited.unwrap_err().is_not_found());
        assert!(started.elapsed() < LONG);
    });
}
