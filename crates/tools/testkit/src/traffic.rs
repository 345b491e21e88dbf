//! Real packets of a container's.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::container::Container;

/// How long what must pass may take: a kernel that has much to do is slow.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for what must not pass.
const IMTIMEOUT: &str = "-W0.4";

/// An address answers to pings from inside a container.
///
/// # Panics
/// If it does not within [`TIMEOUT`].
#[track_caller]
pub fn assert_reaches(from: &Container, to: &str) {
    let until = Instant::now() + TIMEOUT;
    while !pings(from, &[to]) {
        let id = &from.id;
        assert!(
            Instant::now() < until,
            "no answer from {to} to container {id}"
        );
    }
}

/// Whether one ping from inside a container is answered, soon. What it waits can be among the
/// arguments too (`-W`).
#[must_use]
#[track_caller]
pub fn pings(from: &Container, args: &[&str]) -> bool {
    let mut ping = Command::new("ping");
    // Of two that are given, `ping` takes the latter.
    ping.args(["-n", "-q", "-c1", IMTIMEOUT]).args(args);
    from.sandbox.command(&mut ping).status.success()
}

/// Has the kernel send what is between two addresses of the container by `eth0` instead of `lo`.
#[track_caller]
pub fn send_to_self_by_wire(container: &Container, first: &str, second: &str) {
    for link in ["all", "eth0"] {
        container.set(&format!("ipv4/conf/{link}/accept_local"), "1");
        container.set(&format!("ipv4/conf/{link}/rp_filter"), "0");
    }
    container.ip(&format!("address add {second}/24 dev eth0"));
    // What comes in is the container's own; what goes out looks into table 100 before.
    container.ip("rule add pref 10 iif eth0 lookup local");
    container.ip("rule add pref 20 lookup 100");
    container.ip("rule add pref 30 lookup local");
    container.ip("rule del pref 0");
    container.ip(&format!(
        "route add {first} dev eth0 src {second} table 100"
    ));
    container.ip(&format!(
        "route add {second} dev eth0 src {first} table 100"
    ));
}
