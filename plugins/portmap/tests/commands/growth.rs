//! ADD, CHECK and DEL do as much with many mappings on the node as with none.

use serde_json::{Value, json};
use testkit::{Container, Side, Strace};

use crate::support::{Lan, conf_of};

fn mappings(ports: std::ops::Range<u16>) -> Value {
    ports
        .map(|port| json!({"hostPort": port, "containerPort": 80}))
        .collect()
}

#[test]
fn the_number_of_mappings_costs_nothing() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    let Some(strace) = Strace::new() else { return };
    let conf = lan.conf(0, &mappings(80..82), &json!({}));
    // The number of system calls about the network, and of bytes that they read.
    let cost = |command: &str| {
        let call = lan.call(command, &lan.pods[0], &conf);
        let call = strace.of(call, &["trace=network"]);
        assert_eq!(lan.node.run(&call).code, Some(0));
        let text = strace.calls();
        let results = text.lines().filter_map(|line| line.rsplit_once(" = "));
        let bytes = results.filter_map(|(_, result)| result.trim().parse::<i64>().ok());
        (text.lines().count(), bytes.sum::<i64>())
    };
    // The first ADD creates the tables.
    lan.map(1, &mappings(90..91));
    let costs = || ["ADD", "CHECK", "DEL"].map(cost);
    let before = costs();
    for number in 0..3 {
        let container = Container::new(&format!("m{number}"));
        let addresses = [
            format!("10.244.1.{}", 10 + number),
            format!("fd00:10::1{number}"),
        ];
        let addresses = [addresses[0].as_str(), addresses[1].as_str()];
        let first = 10_000 + 400 * number;
        let conf = conf_of(
            &container,
            addresses,
            &mappings(first..first + 400),
            &json!({}),
        );
        lan.add(&container, &conf);
    }
    let after = costs();
    for ((command, before), after) in ["ADD", "CHECK", "DEL"].into_iter().zip(before).zip(after) {
        assert_eq!(before.0, after.0, "{command}: {before:?} {after:?}");
        let growth = after.1 - before.1;
        assert!(growth.abs() < 100, "{command}: {before:?} {after:?}");
    }
}
