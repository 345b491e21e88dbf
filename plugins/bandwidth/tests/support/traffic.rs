//! Real packets, and how long they take.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
    let (mut from, mut to) = connect(lab, container, way, inside, outside);
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

/// A sender and a receiver, connected over TCP from an address inside to one of the node.
#[track_caller]
fn connect(
    lab: &Lab,
    container: &Container,
    way: Way,
    inside: &str,
    outside: &str,
) -> (TcpStream, TcpStream) {
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
    match way {
        Way::Into => (server, client),
        Way::OutOf => (client, server),
    }
}

/// TCP connections whose senders never stop, and the bytes that have arrived over all of them. They
/// end with the value.
pub(crate) struct Flows {
    streams: Vec<TcpStream>,
    started: Instant,
    arrived: Arc<AtomicU64>,
}

impl Flows {
    #[track_caller]
    pub(crate) fn start(
        lab: &Lab,
        container: &Container,
        way: Way,
        count: usize,
        inside: &str,
        outside: &str,
    ) -> Self {
        let arrived = Arc::new(AtomicU64::new(0));
        let pairs: Vec<_> = (0..count)
            .map(|_| connect(lab, container, way, inside, outside))
            .collect();
        let mut streams = Vec::new();
        let started = Instant::now();
        for (mut from, mut to) in pairs {
            streams.extend([&from, &to].map(|stream| stream.try_clone().unwrap()));
            thread::spawn(move || while from.write_all(&[0; 16 << 10]).is_ok() {});
            let arrived = Arc::clone(&arrived);
            thread::spawn(move || {
                let mut room = vec![0; 64 << 10];
                while let Ok(read @ 1..) = to.read(&mut room) {
                    arrived.fetch_add(read as u64, Ordering::Relaxed);
                }
            });
        }
        Self {
            streams,
            started,
            arrived,
        }
    }

    /// How long the senders have been sending, and the bytes that have arrived.
    pub(crate) fn so_far(&self) -> (Duration, u64) {
        let arrived = self.arrived.load(Ordering::Relaxed);
        (self.started.elapsed(), arrived)
    }
}

impl Drop for Flows {
    fn drop(&mut self) {
        for stream in &self.streams {
            // The kernel may have closed the connection.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}
