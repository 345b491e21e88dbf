//! Connections that the kernel tracks do not go on leading to a container that has lost the port.

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::Side;

use crate::support::{Lan, NODE, Place};

/// One client, whose packets all belong to one connection.
struct Client(UdpSocket);

impl Client {
    #[track_caller]
    fn new(lan: &Lan, to: &str, port: u16) -> Self {
        let any = if to.contains(':') {
            "[::]:0"
        } else {
            "0.0.0.0:0"
        };
        let socket = lan.outside.enter(|| {
            let socket = UdpSocket::bind(any).unwrap();
            socket.connect((to, port)).unwrap();
            socket
        });
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        Self(socket)
    }

    /// Asserts who answers. An answer to an earlier packet may come late.
    #[track_caller]
    fn assert_answered_by(&self, name: &str) {
        let end = Instant::now() + Duration::from_secs(5);
        let mut last = String::new();
        let mut buffer = [0; 64];
        while Instant::now() < end {
            drop(self.0.send(b"hello"));
            if let Ok(length) = self.0.recv(&mut buffer) {
                last = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if last.split(' ').next() == Some(name) {
                    return;
                }
            }
        }
        panic!("{name} does not answer {:?}, but {last:?}", self.0);
    }
}

/// The connections that the node tracks, without their timeouts, that have these words.
pub(crate) fn tracked(lan: &Lan, words: &str) -> Vec<String> {
    let output = lan.node.enter(|| {
        // The file is that of the network namespace of whoever opens it.
        Command::new("cat")
            .arg("/proc/net/nf_conntrack")
            .output()
            .unwrap()
    });
    let text = String::from_utf8(output.stdout).unwrap();
    let own = text.lines().filter(|line| line.contains(words));
    let mut found: Vec<_> = own
        .map(|line| {
            line.split_whitespace()
                .filter(|word| word.contains('='))
                .collect::<Vec<_>>()
        })
        .map(|words| words.join(" "))
        .collect();
    found.sort();
    found
}

#[test]
fn the_next_packet_reaches_the_new_server() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    lan.serve(Place::Pod(0), "::", 53);
    lan.serve(Place::Pod(1), "::", 53);
    lan.serve(Place::Outside, "192.0.2.2", 8053);
    let other = json!({"hostPort": 8054, "containerPort": 53, "protocol": "udp"});
    let both = json!([{"hostPort": 8053, "containerPort": 53, "protocol": "udp"}, other]);
    let one = json!([{"hostPort": 8053, "containerPort": 53, "protocol": "udp"}]);
    for node in NODE {
        lan.map(0, &both);
        let (client, untouched) = (Client::new(&lan, node, 8053), Client::new(&lan, node, 8054));
        client.assert_answered_by("c1");
        untouched.assert_answered_by("c1");
        // A connection past the node has the port's number, too.
        let passing = lan.pods[1]
            .sandbox
            .enter(|| UdpSocket::bind("10.244.1.3:0").unwrap());
        passing.send_to(b"hello", "192.0.2.2:8053").unwrap();
        let (kept, past) = (tracked(&lan, "dport=8054"), tracked(&lan, "dst=192.0.2.2"));
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert!(!past.is_empty());

        lan.map(1, &one);
        client.assert_answered_by("c2");
        lan.unmap(1);
        client.assert_answered_by("c1");
        assert_eq!(tracked(&lan, "dport=8054"), kept);
        assert_eq!(tracked(&lan, "dst=192.0.2.2"), past);
        // As a container is replaced: the old one goes before the new one comes.
        lan.unmap(0);
        assert_eq!(tracked(&lan, "dport=8053 src=10.244.1.2"), [""; 0]);
        lan.map(1, &one);
        client.assert_answered_by("c2");
        lan.unmap(1);
    }
}

// Two containers may have the port of different addresses.
#[test]
fn connections_by_a_mapping_of_their_own_address_stay() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    lan.serve(Place::Pod(0), "::", 53);
    lan.serve(Place::Pod(1), "::", 53);
    let mapping = |host_ip: &str| {
        json!([{
            "hostPort": 8053, "containerPort": 53, "protocol": "udp", "hostIP": host_ip,
        }])
    };
    lan.map(0, &mapping(NODE[0]));
    let client = Client::new(&lan, NODE[0], 8053);
    client.assert_answered_by("c1");
    let tracked_before = tracked(&lan, "dport=8053");
    assert_eq!(tracked_before.len(), 1, "{tracked_before:?}");
    lan.map(1, &mapping(""));
    assert_eq!(tracked(&lan, "dport=8053"), tracked_before);
    // The address of its own comes first, also for a client that was there before.
    let other = Client::new(&lan, NODE[1], 8053);
    other.assert_answered_by("c2");
    lan.unmap(0);
    client.assert_answered_by("c2");
    lan.map(0, &mapping(NODE[0]));
    client.assert_answered_by("c1");
}

// A packet that comes before the ADD is the node's own.
#[test]
fn a_client_that_was_there_first_reaches_the_container() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    lan.serve(Place::Node, "192.0.2.1", 8053);
    lan.serve(Place::Pod(0), "::", 53);
    // The node tracks nothing until a rule needs it.
    lan.map(1, &json!([{"hostPort": 9, "containerPort": 9}]));
    let client = Client::new(&lan, NODE[0], 8053);
    client.assert_answered_by("node");
    lan.map(
        0,
        &json!([{"hostPort": 8053, "containerPort": 53, "protocol": "udp"}]),
    );
    client.assert_answered_by("c1");
}
