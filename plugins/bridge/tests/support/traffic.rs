//! Real packets.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::thread;

use testkit::NetNs;
use testkit::traffic::connect;

pub(crate) use testkit::traffic::{assert_answered, assert_reaches, pings, send_to_self_by_wire};

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
    let _connected = connect(client, to);
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
