//! Real packets, and how long they take.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use testkit::Container;

use super::Lab;

/// Where the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Into,
    OutOf,
}

/// How long it takes until so many bytes have arrived, over TCP from or to an address of the node.
#[track_caller]
pub(crate) fn time_of(
    lab: &Lab,
    container: &Container,
    way: Way,
    bytes: usize,
    inside: &str,
    outside: &str,
) -> Duration {
    let (inside, outside): (IpAddr, IpAddr) = (inside.parse().unwrap(), outside.parse().unwrap());
    let listen = || TcpListener::bind(SocketAddr::new(outside, 0)).unwrap();
    let listener = lab.node.enter(listen);
    let at = listener.local_addr().unwrap();
    let connect = || {
        // From the address that the test is about.
        let stream = TcpStream::connect_timeout(&at, Duration::from_secs(10)).unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), inside);
        stream
    };
    let client = container.sandbox.enter(connect);
    let (server, _) = listener.accept().unwrap();
    let (mut from, mut to) = match way {
        Way::Into => (server, client),
        Way::OutOf => (client, server),
    };
    let started = Instant::now();
    let sender = thread::spawn(move || {
        // The receiver may have enough before all is sent.
        drop(from.write_all(&vec![0; bytes]));
    });
    let mut room = vec![0; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let read = to.read(&mut room).unwrap();
        assert_ne!(read, 0, "the connection ended {left} bytes early");
        left -= read.min(left);
    }
    let elapsed = started.elapsed();
    drop(to);
    sender.join().unwrap();
    elapsed
}
