//! Many ADDs and DELs, eight at a time, with an audit.

use std::thread;

use serde_json::{Value, json};
use testkit::{Container, Side};

use super::connections::tracked;
use crate::support::{Lan, NODE, OUTSIDE, Place, Protocol, conf_of};

const AT_A_TIME: usize = 8;

/// The variable with the number of ADDs, each of which a DEL follows; and what it is by default.
const VARIABLE: &str = "TWILL_TEST_STORM";
const DEFAULT: usize = 96;

#[expect(
    clippy::disallowed_methods,
    reason = "the environment is an input of this test"
)]
fn rounds() -> usize {
    std::env::var(VARIABLE).map_or(DEFAULT, |text| text.parse().unwrap())
}

/// A container with addresses of its own at the interface of one of the pods, where it answers at a
/// port of its own.
struct Server {
    container: Container,
    addresses: [String; 2],
    port: u16,
    pod: usize,
}

impl Server {
    fn new(lan: &Lan, number: usize) -> Self {
        let (pod, port) = (number % 2, 1000 + number as u16);
        let addresses = [
            format!("10.244.1.{}", 10 + number),
            format!("fd00:10::1{number}"),
        ];
        lan.pods[pod].ip(&format!("addr add {}/24 dev eth0", addresses[0]));
        lan.pods[pod].ip(&format!("addr add {}/64 dev eth0 nodad", addresses[1]));
        // A socket of all addresses would answer from the pod's first one.
        for address in &addresses {
            lan.serve(Place::Pod(pod), address, port);
        }
        Self {
            container: Container::new(&format!("m{number}")),
            addresses,
            port,
            pod,
        }
    }

    fn host_port(&self) -> u16 {
        7000 + self.port
    }

    fn conf(&self) -> Value {
        let addresses = [self.addresses[0].as_str(), self.addresses[1].as_str()];
        let mapping = |protocol, host_ip| {
            json!({
                "hostPort": self.host_port(), "containerPort": self.port, "protocol": protocol,
                "hostIP": host_ip,
            })
        };
        let mappings = [
            ("tcp", ""),
            ("udp", NODE[0]),
            ("udp", NODE[1]),
            ("sctp", ""),
        ];
        let mappings: Value = mappings.map(|(protocol, ip)| mapping(protocol, ip)).into();
        conf_of(&self.container, addresses, &mappings, &json!({}))
    }

    /// An ADD and a DEL, while others do the same.
    fn comes_and_goes(&self, lan: &Lan, round: usize) {
        let conf = self.conf();
        lan.add(&self.container, &conf);
        lan.node
            .run(&lan.call("CHECK", &self.container, &conf))
            .silent();
        let family = round % 2;
        let protocol = [Protocol::Udp, Protocol::Tcp][round / 2 % 2];
        let answer = lan.ask(Place::Outside, protocol, NODE[family], self.host_port());
        let expected = format!("c{} sees {}", self.pod + 1, OUTSIDE[family]);
        assert_eq!(answer, expected, "round {round}");
        lan.del(&self.container, &conf);
    }
}

#[test]
fn nothing_is_left_of_many_containers_and_each_had_its_ports() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    let servers: Vec<_> = (0..AT_A_TIME)
        .map(|number| Server::new(&lan, number))
        .collect();
    // One container stays, and has what it had.
    lan.serve(Place::Pod(1), "::", 80);
    lan.map(1, &json!([{ "hostPort": 8080, "containerPort": 80 }]));
    // The rules collect the addresses of the node that clients ask for.
    let asked = || NODE.map(|node| lan.ask(Place::Outside, Protocol::Tcp, node, 8080));
    let answers = asked();
    let (ruleset, links) = (lan.ruleset(), lan.node.ip_json(&["-br", "link"]));
    thread::scope(|scope| {
        for server in &servers {
            let lan = &lan;
            scope.spawn(move || {
                for round in 0..rounds().div_ceil(AT_A_TIME) {
                    server.comes_and_goes(lan, round);
                }
            });
        }
    });
    assert_eq!(lan.ruleset(), ruleset);
    assert_eq!(lan.node.ip_json(&["-br", "link"]), links);
    let mut left = tracked(&lan, "udp");
    left.retain(|line| {
        servers
            .iter()
            .any(|it| line.contains(&format!("dport={}", it.host_port())))
    });
    assert_eq!(left, [""; 0]);
    assert_eq!(asked(), answers);
}
