//! Real packets.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use testkit::NetNs;

use crate::support::lab::Container;

/// How long what must pass may take: a kernel that has much to do is slow.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for what must not pass.
const IMPATIENCE: &str = "-W0.4";

/// An address answers to pings from inside a container.
#[track_caller]
pub(crate) fn assert_reaches(from: &Container, to: &str) {
    let until = Instant::now() + PATIENCE;
    while !pings(from, &[to]) {
        let id = &from.id;
        assert!(
            Instant::now() < until,
            "no answer from {to} to container {id}"
        );
    }
}

/// Whether one ping from inside a container is answered, soon.
#[track_caller]
pub(crate) fn pings(from: &Container, args: &[&str]) -> bool {
    let mut ping = Command::new("ping");
    ping.args(["-n", "-q", "-c1", IMPATIENCE]).args(args);
    from.sandbox.command(&mut ping).status.success()
}

/// The address that a server in one namespace sees a TCP client of another one come from.
#[track_caller]
pub(crate) fn seen_from(
    server: impl FnOnce(SocketAddr) -> TcpListener,
    at: &str,
    client: &NetNs,
) -> String {
    let at: IpAddr = at.parse().unwrap();
    let listener = server(SocketAddr::new(at, 0));
    let to = listener.local_addr().unwrap();
    let accepted = thread::spawn(move || listener.accept().map(|(_, peer)| peer.ip().to_string()));
    let connected = client.enter(|| TcpStream::connect_timeout(&to, PATIENCE));
    if let Err(error) = connected {
        // The thread waits on; it ends with the test.
        panic!("no connection to {to}: {error}");
    }
    accepted.join().unwrap().unwrap()
}

/// A server inside a namespace.
pub(crate) fn listen_in(netns: &NetNs) -> impl FnOnce(SocketAddr) -> TcpListener {
    move |at| {
        netns
            .enter(|| TcpListener::bind(at))
            .unwrap_or_else(|error| panic!("cannot listen at {at}: {error}"))
    }
}
