//! The time that `firewall` takes to add and to remove a container, by the number of containers
//! that exist already.
//!
//! `cargo bench -p bench --bench firewall` prints medians in microseconds. It needs root, and works
//! in a network namespace of its own.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement for the terminal"
)]

use std::time::{Duration, Instant};

use cni_types::{Attachment, NetworkName, ValidAttachments};
use firewall::Nftables;
use ipnetwork::IpNetwork;
use netlink::Mac;

const SIZES: [u32; 6] = [0, 10, 100, 1000, 5000, 10000];
const ROUNDS: u32 = 100;

struct Container {
    attachment: Attachment,
    addresses: [IpNetwork; 2],
    port: String,
    mac: Mac,
}

impl Container {
    fn new(number: u32) -> Self {
        let [_, a, b, c] = number.to_be_bytes();
        Self {
            attachment: Attachment {
                container_id: format!("{number:064x}").parse().unwrap(),
                ifname: "eth0".parse().unwrap(),
            },
            addresses: [
                format!("10.{a}.{b}.{c}/8").parse().unwrap(),
                format!("fd00:10::{a:x}:{b:x}:{c:x}/64").parse().unwrap(),
            ],
            port: format!("veth{number:08x}"),
            mac: Mac([2, 0, 0, a, b, c]),
        }
    }
}

fn main() {
    testkit::NetNs::new().unwrap().enter(measure);
}

fn measure() {
    let network: NetworkName = "cbr0".parse().unwrap();
    let mut nftables = Nftables::open().unwrap();
    let first = Container::new(1 << 20);
    let start = Instant::now();
    nftables
        .masquerade(&network, &first.attachment, &first.addresses)
        .unwrap();
    println!(
        "{:>7} µs  for the first, which creates the tables",
        start.elapsed().as_micros()
    );
    nftables
        .allow_only_mac(&network, &first.attachment, &first.port, first.mac)
        .unwrap();

    println!("  beside     open masquerade  allow_only_mac  remove  remove nothing  (median µs)");
    let mut count = 0;
    for size in SIZES {
        while count < size {
            let it = Container::new(count);
            nftables
                .masquerade(&network, &it.attachment, &it.addresses)
                .unwrap();
            nftables
                .allow_only_mac(&network, &it.attachment, &it.port, it.mac)
                .unwrap();
            count += 1;
        }
        let mut times: [Vec<Duration>; 5] = Default::default();
        for round in 0..ROUNDS {
            let it = Container::new(1 << 16 | round);
            let start = Instant::now();
            let mut nftables = Nftables::open().unwrap();
            let opened = Instant::now();
            nftables
                .masquerade(&network, &it.attachment, &it.addresses)
                .unwrap();
            let masqueraded = Instant::now();
            nftables
                .allow_only_mac(&network, &it.attachment, &it.port, it.mac)
                .unwrap();
            let allowed = Instant::now();
            nftables.remove(&network, &it.attachment).unwrap();
            let removed = Instant::now();
            nftables.remove(&network, &it.attachment).unwrap();
            let again = Instant::now();
            let marks = [start, opened, masqueraded, allowed, removed, again];
            for (times, pair) in times.iter_mut().zip(marks.windows(2)) {
                if let [from, to] = pair {
                    times.push(*to - *from);
                }
            }
        }
        let medians = times.map(|mut times| {
            times.sort_unstable();
            times.get(times.len() / 2).map_or(0, Duration::as_micros)
        });
        let [open, masquerade, allow, remove, nothing] = medians;
        println!("{size:>8} {open:>8} {masquerade:>10} {allow:>15} {remove:>7} {nothing:>15}");
    }
    let start = Instant::now();
    nftables.gc(&network, &ValidAttachments::default()).unwrap();
    println!("{:>7} µs  to collect them all", start.elapsed().as_micros());
}
