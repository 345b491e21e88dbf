//! Tests of routes.

use netlink::{Change, Existing, Family, MAIN_TABLE, Route, SourceRule};
use serde_json::json;

use crate::{Both, Pair, up};

/// A container's link with an address of each protocol.
fn link(both: &mut Both) -> u32 {
    let bridge = both.bridge();
    let (_, far) = both.veth("veth0", "eth0", bridge.index);
    let changes = [
        Change::SetLink {
            link: far.index,
            change: up(),
        },
        Change::add_address(far.index, "10.244.1.7/24".parse().unwrap(), false),
        Change::add_address(far.index, "2001:db8::7/64".parse().unwrap(), false),
    ];
    both.container.apply(&changes).unwrap();
    far.index
}

#[test]
fn a_route_with_everything() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let link = link(both);
        let route = Route {
            gateway: Some([10, 244, 1, 1].into()),
            link: Some(link),
            source: Some([10, 244, 1, 7].into()),
            priority: Some(50),
            table: 4711,
            mtu: Some(1400),
            advmss: Some(1360),
            // Host bits, which the kernel would refuse.
            ..Route::to("192.168.9.9/16".parse().unwrap())
        };
        let add = Change::AddRoute {
            route,
            existing: Existing::Refuse,
        };
        both.container.apply(std::slice::from_ref(&add)).unwrap();
        let error = both.container.apply(&[add]).unwrap_err();
        assert!(error.is_exists(), "{error}");
        let listed = both.container.routes(Family::V4, 4711, Some(link));
        let expected = Route {
            destination: "192.168.0.0/16".parse().unwrap(),
            scope: Some(0),
            ..route
        };
        assert_eq!(listed.unwrap(), [expected]);
        let other = both.container.routes(Family::V4, 4712, None);
        assert_eq!(other.unwrap(), []);
    });
    let seen = pair.container.ip_json(&["route", "show", "table", "4711"]);
    let expected = json!([{
        "dst": "192.168.0.0/16", "gateway": "10.244.1.1", "dev": "eth0", "prefsrc": "10.244.1.7",
        "metric": 50, "flags": [], "metrics": [{ "mtu": 1400, "advmss": 1360 }]
    }]);
    assert_eq!(seen, expected);
}

#[test]
fn scopes() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let link = link(both);
        let by_link = |to: &str| Route {
            link: Some(link),
            ..Route::to(to.parse().unwrap())
        };
        let routes = [
            by_link("169.254.1.1/32"),
            Route {
                gateway: Some([169, 254, 1, 1].into()),
                ..by_link("0.0.0.0/0")
            },
            Route {
                scope: Some(0),
                ..by_link("10.1.0.0/16")
            },
            Route {
                gateway: Some([172, 16, 0, 1].into()),
                is_onlink: true,
                ..by_link("10.2.0.0/16")
            },
        ];
        let changes = routes.map(|route| Change::AddRoute {
            route,
            existing: Existing::Join,
        });
        both.container.apply(&changes).unwrap();
    });
    let seen = pair.container.ip_json(&["route", "show", "proto", "boot"]);
    let expected = json!([
        { "dst": "default", "gateway": "169.254.1.1", "dev": "eth0", "flags": [] },
        { "dst": "10.1.0.0/16", "dev": "eth0", "flags": [] },
        { "dst": "10.2.0.0/16", "gateway": "172.16.0.1", "dev": "eth0", "flags": ["onlink"] },
        { "dst": "169.254.1.1", "dev": "eth0", "scope": "link", "flags": [] }
    ]);
    assert_eq!(seen, expected);
}

#[test]
fn a_route_beside_or_instead_of_another() {
    let Some(pair) = Pair::new() else { return };
    let gateways = |pair: &Pair, version: &str| -> Vec<String> {
        let seen = pair
            .container
            .ip_json(&[version, "route", "show", "default"]);
        let routes = seen.as_array().unwrap().iter();
        let gateway = |route: &serde_json::Value| route["gateway"].as_str().unwrap().to_owned();
        routes.map(gateway).collect()
    };
    let default_v4 = |link, last| Route {
        gateway: Some([10, 244, 1, last].into()),
        link: Some(link),
        ..Route::to("0.0.0.0/0".parse().unwrap())
    };
    let link = pair.run(|both| {
        let link = link(both);
        let add = |last, existing| Change::AddRoute {
            route: default_v4(link, last),
            existing,
        };
        let container = &mut both.container;
        container.apply(&[add(1, Existing::Refuse)]).unwrap();
        let refused = container.apply(&[add(2, Existing::Refuse)]);
        assert!(refused.unwrap_err().is_exists());
        container.apply(&[add(2, Existing::Join)]).unwrap();
        let same = container.apply(&[add(2, Existing::Join)]);
        assert!(same.unwrap_err().is_exists());
        link
    });
    assert_eq!(gateways(&pair, "-4"), ["10.244.1.2", "10.244.1.1"]);
    pair.run(|both| {
        let replace = Change::AddRoute {
            route: default_v4(link, 3),
            existing: Existing::Replace,
        };
        both.container.apply(&[replace]).unwrap();
        let delete = Change::DeleteRoute {
            route: default_v4(link, 1),
        };
        both.container.apply(std::slice::from_ref(&delete)).unwrap();
        let again = both.container.apply(&[delete]);
        assert!(again.unwrap_err().is_not_found());
    });
    assert_eq!(gateways(&pair, "-4"), ["10.244.1.3"]);
}

#[test]
fn the_default_route_is_the_one_with_the_lowest_metric() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let link = link(both);
        for family in [Family::V4, Family::V6] {
            assert_eq!(both.container.default_route(family).unwrap(), None);
        }
        let to = |destination: &str, gateway: &str, priority| Route {
            gateway: Some(gateway.parse().unwrap()),
            link: Some(link),
            priority: Some(priority),
            ..Route::to(destination.parse().unwrap())
        };
        let routes = [
            to("0.0.0.0/0", "10.244.1.1", 200),
            to("0.0.0.0/0", "10.244.1.2", 100),
            to("0.0.0.0/1", "10.244.1.3", 1),
            to("::/0", "2001:db8::1", 300),
            to("::/0", "2001:db8::2", 250),
        ];
        let changes = routes.map(|route| Change::AddRoute {
            route,
            existing: Existing::Refuse,
        });
        both.container.apply(&changes).unwrap();
        for (family, expected) in [(Family::V4, routes[1]), (Family::V6, routes[4])] {
            let found = both.container.default_route(family).unwrap().unwrap();
            assert_eq!(found.gateway, expected.gateway);
            assert_eq!(
                (found.link, found.priority),
                (Some(link), expected.priority)
            );
        }
        let by_other = both.container.routes(Family::V4, MAIN_TABLE, Some(1));
        assert_eq!(by_other.unwrap(), []);
    });
}

#[test]
fn a_route_with_several_next_hops_is_several_routes() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        link(both);
    });
    for (version, gateways) in [
        ("-4", ["10.244.1.1", "10.244.1.2"]),
        ("-6", ["2001:db8::1", "2001:db8::2"]),
    ] {
        let mut ip = std::process::Command::new("ip");
        ip.args([version, "route", "add", "default"]);
        for gateway in gateways {
            ip.args(["nexthop", "via", gateway, "dev", "eth0"]);
        }
        let added = pair.container.command(&mut ip);
        assert!(added.status.success(), "{added:?}");
        pair.run(|both| {
            let link = both.container.link_by_name("eth0").unwrap().unwrap().index;
            let family = Family::of(gateways[0].parse().unwrap());
            let listed = both.container.routes(family, MAIN_TABLE, Some(link));
            let mut listed = listed.unwrap();
            listed.retain(Route::is_default);
            let listed: Vec<_> = listed
                .iter()
                .map(|route| (route.gateway.unwrap().to_string(), route.link))
                .collect();
            let expected = gateways.map(|gateway| (gateway.to_owned(), Some(link)));
            assert_eq!(listed, expected);
            let default = both.container.default_route(family).unwrap().unwrap();
            assert_eq!(default.link, Some(link));
        });
    }
}

#[test]
fn a_table_that_needs_many_answers_is_read_whole() {
    let Some(pair) = Pair::new() else { return };
    pair.run(|both| {
        let link = link(both);
        let changes: Vec<_> = (0..2000_u32)
            .map(|number| {
                let destination = std::net::Ipv4Addr::from((172 << 24) + number);
                let destination = ipnetwork::IpNetwork::new(destination.into(), 32).unwrap();
                let route = Route {
                    link: Some(link),
                    ..Route::to(destination)
                };
                Change::AddRoute {
                    route,
                    existing: Existing::Refuse,
                }
            })
            .collect();
        both.container.apply(&changes).unwrap();
        let listed = both.container.routes(Family::V4, MAIN_TABLE, Some(link));
        // And the one to the address's own network.
        assert_eq!(listed.unwrap().len(), 2001);
    });
}

// More than a datagram or the buffer for its answers can hold.
#[test]
fn thousands_of_routes() {
    let Some(pair) = Pair::new() else { return };
    let count = 5000;
    pair.run(|both| {
        let bridge = both.bridge();
        let address = "10.0.0.1/16".parse().unwrap();
        let routes: Vec<Route> = (0..count)
            .map(|number| Route {
                gateway: Some([10, 0, 0, 2].into()),
                link: Some(bridge.index),
                ..Route::to(
                    format!("10.{}.{}.0/24", 1 + number / 256, number % 256)
                        .parse()
                        .unwrap(),
                )
            })
            .collect();
        let add = routes.iter().map(|route| Change::AddRoute {
            route: *route,
            existing: Existing::Refuse,
        });
        let changes: Vec<Change> = add.collect();
        let mut applied = both.host.apply_each(&changes).unwrap();
        assert!(applied.iter().all(|it| it.result.is_err()));
        let tried = applied.iter().map(|it| it.change);
        assert!(tried.eq(&changes));
        let last = applied.pop().unwrap().result.unwrap_err().to_string();
        let expected = "cannot add route to 10.20.135.0/24 via 10.0.0.2 by link cni0: ";
        assert!(last.starts_with(expected), "{last}");

        let address = Change::add_address(bridge.index, address, false);
        both.host.apply(&[address]).unwrap();
        both.host.apply(&changes).unwrap();
        let listed = both.host.routes(Family::V4, MAIN_TABLE, None).unwrap();
        assert_eq!(listed.len(), count + 1);
    });
}

#[test]
fn rules_that_look_at_the_source_alone() {
    let Some(pair) = Pair::new() else { return };
    for (family, rule) in [
        ("-4", "from 10.244.1.7 table 100 pref 40"),
        ("-4", "from 10.244.0.0/16 table 70000 pref 30"),
        ("-6", "from 2001:db8::7 table 102"),
        // None of these holds for every packet from there.
        ("-4", "not from 10.244.1.7 table 1"),
        ("-4", "from 10.244.1.7 to 192.0.2.0/24 table 2"),
        ("-4", "from 10.244.1.7 fwmark 7 table 3"),
        ("-4", "from 10.244.1.7 iif eth0 table 4"),
        ("-4", "from 10.244.1.7 tos 0x10 table 5"),
        ("-4", "from 10.244.1.7 ipproto tcp dport 53 table 6"),
        ("-4", "from 10.244.1.7 table 7 suppress_prefixlength 0"),
        ("-4", "from 10.244.1.7 blackhole"),
        ("-4", "fwmark 9 table 8"),
    ] {
        pair.container.ip(&format!("{family} rule add {rule}"));
    }
    pair.run(|both| {
        let rule = |source: &str, table| SourceRule {
            source: source.parse().unwrap(),
            table,
        };
        let found = both.container.source_rules(Family::V4).unwrap();
        let expected = [rule("10.244.0.0/16", 70000), rule("10.244.1.7/32", 100)];
        assert_eq!(found, expected);
        let found = both.container.source_rules(Family::V6).unwrap();
        assert_eq!(found, [rule("2001:db8::7/128", 102)]);
    });
}
