//! Kills at any instant, and many plugins at a time.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Container, Side};

use crate::support::{Lan, Place, Protocol, conf_of};

fn mapping(port: u16) -> Value {
    json!([
        {"hostPort": port, "containerPort": 80},
        {"hostPort": port, "containerPort": 80, "protocol": "udp"},
    ])
}

// Whatever a kill leaves, the DEL that follows removes it, and others keep what they have.
#[test]
fn a_killed_plugin_leaves_nothing_for_good() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    lan.serve(Place::Pod(1), "::", 80);
    lan.map(1, &mapping(8081));
    let others = |lan: &Lan| lan.ruleset().matches("of c2 in cbr0").count();
    let (before, conf) = (others(&lan), lan.conf(0, &mapping(8080), &json!({})));
    for step in 0..40 {
        let delay = Duration::from_micros(step * 150);
        for command in ["ADD", "DEL"] {
            let running = lan.node.start(&lan.call(command, &lan.pods[0], &conf));
            std::thread::sleep(delay);
            running.kill();
            running.wait();
            // Another attachment's operation follows.
            lan.map(1, &mapping(8081));
        }
        lan.unmap(0);
        let left = lan.ruleset();
        assert!(!left.contains("c1"), "after {delay:?}:\n{left}");
        assert_eq!(others(&lan), before, "after {delay:?}");
    }
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        assert!(
            lan.ask(Place::Outside, protocol, "192.0.2.1", 8081)
                .starts_with("c2")
        );
    }
}

#[test]
fn eight_at_a_time_with_an_audit() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    let containers: Vec<Container> = (0..8).map(|it| Container::new(&format!("m{it}"))).collect();
    let conf = |number: usize| {
        let addresses = [
            format!("10.244.1.{}", 10 + number),
            format!("fd00:10::1{number}"),
        ];
        let addresses = [addresses[0].as_str(), addresses[1].as_str()];
        let port = 8100 + number as u16;
        // One port that all of them want.
        let mut mappings = mapping(port);
        mappings
            .as_array_mut()
            .unwrap()
            .push(json!({"hostPort": 9000, "containerPort": 80}));
        conf_of(&containers[number], addresses, &mappings, &json!({}))
    };
    std::thread::scope(|scope| {
        for (number, container) in containers.iter().enumerate() {
            let (lan, conf) = (&lan, conf(number));
            scope.spawn(move || {
                for round in 0..12 {
                    lan.add(container, &conf);
                    if round < 11 {
                        lan.del(container, &conf);
                    }
                }
            });
        }
    });
    let audit = lan.ruleset();
    for number in 0..8 {
        let own = audit.matches(&format!("tcp . 810{number} comment")).count();
        assert_eq!(own, 2, "{audit}");
    }
    assert_eq!(audit.matches("tcp . 9000 comment").count(), 2, "{audit}");
    for (number, container) in containers.iter().enumerate() {
        lan.del(container, &conf(number));
    }
    assert!(!lan.ruleset().contains("in cbr0"));
}
