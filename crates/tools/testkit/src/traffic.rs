//! Packets that a container sends: pings and TCP connections.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::container::Container;
use crate::netns::NetNs;

/// The timeout of packets that must pass, for a busy kernel.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// ping's timeout for packets that must not pass.
const SHORT: &str = "-W0.4";

/// An address answers to pings from inside a container.
///
/// # Panics
/// If it does not within [`TIMEOUT`].
#[track_caller]
pub fn assert_reaches(from: &Container, to: &str) {
    assert_answered(from, &[to]);
}

/// A ping from inside a container with these arguments is answered.
///
/// # Panics
/// If none is within [`TIMEOUT`].
#[track_caller]
pub fn assert_answered(from: &Container, args: &[&str]) {
    let until = Instant::now() + TIMEOUT;
    while !pings(from, args) {
        let id = &from.id;
        assert!(
            Instant::now() < until,
            "no answer to container {id}: ping {args:?}"
        );
    }
}

/// Connects to a TCP server from inside a namespace.
///
/// The kernel's work queue joins the group in which neighbours look for a new IPv6 address, and the
/// queue may lag behind by more than the three seconds after which a neighbour gives up. So a
/// refusal for that reason is tried again.
///
/// # Panics
/// If there is no connection within [`TIMEOUT`].
#[must_use]
#[track_caller]
pub fn connect(from: &NetNs, to: SocketAddr) -> TcpStream {
    let until = Instant::now() + TIMEOUT;
    loop {
        match from.enter(|| TcpStream::connect_timeout(&to, TIMEOUT)) {
            Ok(stream) => return stream,
            Err(error) if error.kind() == ErrorKind::HostUnreachable && Instant::now() < until => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(error) => panic!("no connection to {to}: {error}"),
        }
    }
}

/// Whether one ping from inside a container is answered soon. The arguments may have another
/// timeout (`-W`).
#[must_use]
#[track_caller]
pub fn pings(from: &Container, args: &[&str]) -> bool {
    let mut ping = Command::new("ping");
    // Of two that are given, `ping` takes the latter.
    ping.args(["-n", "-q", "-c1", SHORT]).args(args);
    from.sandbox.command(&mut ping).status.success()
}

/// Has the kernel send packets between two addresses of the container by `eth0` instead of `lo`.
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::requirements::require_root;

    #[test]
    fn a_connection_is_tried_until_neighbours_find_the_address() {
        if !require_root() {
            return;
        }
        let (client, server) = (NetNs::new().unwrap(), NetNs::new().unwrap());
        let path = server.path();
        let path = path.to_str().unwrap();
        client.ip(&format!(
            "link add wire0 type veth peer name wire1 netns {path}"
        ));
        client.ip("address add fd00:51::1/64 dev wire0 nodad");
        client.ip("link set wire0 up");
        server.ip("link set wire1 up");
        // The kernel gives up after three attempts, which take three seconds by default.
        let soon = "/proc/sys/net/ipv6/neigh/wire0/retrans_time_ms";
        client.enter(|| std::fs::write(soon, "20")).unwrap();
        let _listener = server.enter(|| TcpListener::bind("[::]:80")).unwrap();
        let to = "[fd00:51::2]:80".parse().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                server.ip("address add fd00:51::2/64 dev wire1 nodad");
            });
            assert_eq!(connect(&client, to).peer_addr().unwrap(), to);
        });
    }
}
