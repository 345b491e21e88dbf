//! Many parallel calls, and kills at any instant.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Invocation, binaries};

#[path = "support/directory.rs"]
mod directory;

use directory::contents;

struct Network {
    temp: TempDir,
    ipam: Value,
}

impl Network {
    fn new(ipam: Value) -> Self {
        Self {
            temp: tempfile::tempdir().unwrap(),
            ipam,
        }
    }

    fn call(&self, command: &str, container: &str) -> Invocation {
        let mut ipam = self.ipam.clone();
        ipam["dataDir"] = self.temp.path().to_str().unwrap().into();
        let conf = json!({ "cniVersion": "1.0.0", "name": "net", "ipam": ipam });
        Invocation::attach(binaries::plugin("host-local"), command, container).config(&conf)
    }

    /// The files in the network's directory: who holds which address, and everything else.
    fn files(&self) -> (BTreeMap<String, String>, Vec<String>) {
        let files = contents(&self.temp.path().join("net"));
        let (held, others): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|(name, _)| name.parse::<std::net::IpAddr>().is_ok());
        let held = held
            .into_iter()
            .map(|(name, contents)| (name, contents.unwrap()))
            .collect();
        (held, others.into_iter().map(|(name, _)| name).collect())
    }
}

fn address(result: &Value) -> String {
    let address = result["ips"][0]["address"].as_str().unwrap();
    address.split('/').next().unwrap().to_owned()
}

const THREADS: usize = 8;

#[test]
fn parallel_adds_allocate_each_address_once() {
    const ADDS: usize = 25;
    let network = Network::new(json!({ "subnet": "10.1.1.0/24" }));
    let adder = |thread: usize| {
        let network = &network;
        move || {
            let containers = (0..ADDS).map(|turn| format!("c{thread}-{turn}"));
            let given = containers.map(|container| {
                let result = network.call("ADD", &container).run().success();
                (address(&result), format!("{container}\\r\\neth0"))
            });
            given.collect::<Vec<_>>()
        }
    };
    let given: Vec<(String, String)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(adder(thread)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let count = given.len();
    let given: BTreeMap<String, String> = given.into_iter().collect();
    assert_eq!((given.len(), count), (THREADS * ADDS, THREADS * ADDS));

    let (held, others) = network.files();
    assert_eq!(held, given);
    assert_eq!(others, ["last_reserved_ip.0", "lock"]);
    // No ADD skipped a free address.
    for octet in 2..2 + THREADS * ADDS {
        assert!(
            given.contains_key(&format!("10.1.1.{octet}")),
            "10.1.1.{octet} is free"
        );
    }
}

#[test]
fn del_releases_the_addresses_of_killed_adds() {
    const THREADS: usize = 4;
    const CONTAINERS: usize = 6;
    const KILLS: usize = 60;
    // 10.1.1.2 to 10.1.1.30: enough for all, and few enough for the search to wrap several times.
    let network = Network::new(json!({ "subnet": "10.1.1.0/27" }));

    let stormy = |thread: usize| {
        let network = &network;
        move || {
            let mut timeout = network.call("DEL", "nobody").run().elapsed;
            let mut kills = 0;
            for turn in 0..20 * KILLS {
                let container = format!("c{thread}-{}", turn % CONTAINERS);
                // Two ADDs, then a DEL, so that an ADD follows a killed one.
                let command = if turn / CONTAINERS % 3 == 2 {
                    "DEL"
                } else {
                    "ADD"
                };
                let running = network.call(command, &container).start();
                // Spread over the life of the process, whose first third is its start.
                let part = 30 + (turn * 37 + thread * 11) % 100;
                thread::sleep(timeout * u32::try_from(part).unwrap() / 100);
                running.kill();
                let outcome = running.wait();
                if outcome.signal == Some(9) {
                    kills += 1;
                    timeout += timeout / 16;
                } else {
                    timeout -= timeout / 16;
                    if command == "ADD" && outcome.code == Some(0) {
                        // A reported success is final.
                        network.call("CHECK", &container).run().silent();
                    }
                }
                if kills == KILLS {
                    break;
                }
            }
            kills
        }
    };
    let kills: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(stormy(thread)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(kills, THREADS * KILLS);

    let all =
        || (0..THREADS).flat_map(|thread| (0..CONTAINERS).map(move |n| format!("c{thread}-{n}")));
    let (held, _) = network.files();
    for (address, owner) in &held {
        let known = all().any(|container| *owner == format!("{container}\\r\\neth0"));
        assert!(known, "{address} holds {owner:?}");
    }
    for container in all() {
        let owner = format!("{container}\\r\\neth0");
        let count = held.values().filter(|other| **other == owner).count();
        assert!(count < 2, "{container} holds {count} addresses: {held:?}");
    }

    for container in all() {
        network.call("DEL", &container).run().silent();
    }
    let (held, _) = network.files();
    assert_eq!(held, BTreeMap::new());

    let mut given: Vec<String> = (0..29)
        .map(|number| {
            address(
                &network
                    .call("ADD", &format!("new-{number}"))
                    .run()
                    .success(),
            )
        })
        .collect();
    let full = network.call("ADD", "one-too-many").run().failure();
    assert_eq!(full.code, 110, "{full:?}");
    given.sort_by_key(|address| address.parse::<std::net::Ipv4Addr>().unwrap());
    let whole: Vec<String> = (2..=30).map(|octet| format!("10.1.1.{octet}")).collect();
    assert_eq!(given, whole);
    let (_, others) = network.files();
    assert_eq!(others, ["last_reserved_ip.0", "lock"]);
}
