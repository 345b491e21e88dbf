//! A server that answers over TCP and UDP, and its clients.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// The pause between two attempts of a client.
const PAUSE: Duration = Duration::from_millis(20);
/// How long one datagram is waited for.
const DATAGRAM_TIMEOUT: Duration = Duration::from_millis(100);

/// What a client asks over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// The sockets of a server, which belong to the network namespace in which they were made.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    socket: UdpSocket,
}

impl Server {
    /// Binds both sockets, in the calling thread's namespace.
    ///
    /// # Panics
    /// If the address or the port cannot be bound.
    #[must_use]
    #[track_caller]
    pub fn bind(address: IpAddr, port: u16) -> Self {
        let at = SocketAddr::new(address, port);
        Self {
            listener: TcpListener::bind(at).unwrap(),
            socket: UdpSocket::bind(at).unwrap(),
        }
    }

    /// Answers `<name> sees <the client's address>` from now on, until the process ends.
    pub fn answer(self, name: &str) {
        let Self { listener, socket } = self;
        let name = name.to_owned();
        let answer =
            move |client: SocketAddr| format!("{name} sees {}", client.ip().to_canonical());
        let by_udp = answer.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Ok(client) = stream.peer_addr() else {
                    continue;
                };
                drop(stream.write_all(answer(client).as_bytes()));
            }
        });
        thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((_, client)) = socket.recv_from(&mut buffer) {
                drop(socket.send_to(by_udp(client).as_bytes(), client));
            }
        });
    }
}

/// What a client in the calling thread's namespace is answered within the timeout, if anything.
pub fn ask(protocol: Protocol, to: SocketAddr, timeout: Duration) -> Option<String> {
    let end = Instant::now() + timeout;
    while Instant::now() < end {
        let answer = match protocol {
            Protocol::Tcp => ask_tcp(to, timeout),
            Protocol::Udp => ask_udp(to),
        };
        if answer.is_some() {
            return answer;
        }
        thread::sleep(PAUSE);
    }
    None
}

fn ask_tcp(to: SocketAddr, timeout: Duration) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&to, timeout).ok()?;
    stream.set_read_timeout(Some(timeout)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer).filter(|answer| !answer.is_empty())
}

fn ask_udp(to: SocketAddr) -> Option<String> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    socket.connect(to).ok()?;
    socket.set_read_timeout(Some(DATAGRAM_TIMEOUT)).unwrap();
    socket.send(b"hello").ok()?;
    let mut buffer = [0; 64];
    match socket.recv(&mut buffer) {
        Ok(length) => String::from_utf8(buffer[..length].to_vec()).ok(),
        Err(error) => {
            let usual = [
                ErrorKind::WouldBlock,
                ErrorKind::Interrupted,
                ErrorKind::ConnectionRefused,
                ErrorKind::TimedOut,
                ErrorKind::HostUnreachable,
                ErrorKind::NetworkUnreachable,
            ];
            let kind = error.kind();
            assert!(usual.contains(&kind), "cannot receive from {to}: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_names_itself_and_its_client() {
        let localhost: IpAddr = "127.0.0.1".parse().unwrap();
        // The kernel finds a port that is free for TCP; it may be taken for UDP.
        let server = (0..100).find_map(|_| {
            let listener = TcpListener::bind((localhost, 0)).unwrap();
            let socket = UdpSocket::bind(listener.local_addr().unwrap()).ok()?;
            Some(Server { listener, socket })
        });
        let server = server.unwrap();
        let at = server.listener.local_addr().unwrap();
        server.answer("a");
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let answer = ask(protocol, at, Duration::from_secs(10));
            assert_eq!(answer.as_deref(), Some("a sees 127.0.0.1"));
        }
    }
}
