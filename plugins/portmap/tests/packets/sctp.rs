//! SCTP (RFC 9260) through mapped ports. Both ends are raw sockets, so no kernel needs to have SCTP
//! itself, only netfilter's part of it.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recvfrom, sendto,
    setsockopt, socket,
};
use nix::sys::time::TimeVal;
use serde_json::{Value, json};
use testkit::{NetNs, Side};

use crate::support::{Lan, NODE, OUTSIDE};

const HOST_PORT: u16 = 9000;
const CONTAINER_PORT: u16 = 90;
const CLIENT_PORT: u16 = 5000;

/// Types of chunks.
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;

/// The initiate tags of both ends.
const CLIENT_TAG: u32 = 0x1111_1111;
const SERVER_TAG: u32 = 0x2222_2222;

/// The timeout for a packet that should come, and for one that should not.
const TIMEOUT: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(300);

/// Sends and receives packets of SCTP in a namespace.
struct Wire(OwnedFd);

#[derive(Debug, PartialEq, Eq)]
struct Packet {
    /// The sender's address and port, and the port that the packet is for.
    from: String,
    source_port: u16,
    port: u16,
    chunk: u8,
}

impl Packet {
    fn new(from: &str, [source_port, port]: [u16; 2], chunk: u8) -> Self {
        Self {
            from: from.to_owned(),
            source_port,
            port,
            chunk,
        }
    }
}

impl Wire {
    fn new(netns: &NetNs, family: usize) -> Self {
        let family = [AddressFamily::Inet, AddressFamily::Inet6][family];
        let (kind, flags) = (SockType::Raw, SockFlag::SOCK_CLOEXEC);
        let open = || socket(family, kind, flags, SockProtocol::Sctp).unwrap();
        let wire = Self(netns.enter(open));
        let pause = TimeVal::new(0, 50_000);
        setsockopt(&wire.0, ReceiveTimeout, &pause).unwrap();
        wire
    }

    /// Sends a packet whose one chunk sets up an association.
    fn send(&self, to: &str, ports: [u16; 2], verification_tag: u32, chunk: u8, tag: u32) {
        let mut packet = ports.map(u16::to_be_bytes).concat();
        packet.extend(verification_tag.to_be_bytes());
        packet.extend([0; 4]);
        // The type, no flags, the length; the tag, the window, one stream each way, the first TSN.
        packet.extend([chunk, 0, 0, 20]);
        packet.extend([tag, 0x1_0000, 0x1_0001, 1].map(u32::to_be_bytes).concat());
        let checksum = crc32c(&packet).to_le_bytes();
        packet[8..12].copy_from_slice(&checksum);
        let to: IpAddr = to.parse().unwrap();
        let to = SockaddrStorage::from(SocketAddr::new(to, 0));
        sendto(self.0.as_raw_fd(), &packet, &to, MsgFlags::empty()).unwrap();
    }

    /// The next packet, whose checksum is right.
    fn receive(&self, timeout: Duration) -> Option<Packet> {
        let end = Instant::now() + timeout;
        let mut buffer = [0; 256];
        while Instant::now() < end {
            let Ok((length, from)) = recvfrom::<SockaddrStorage>(self.0.as_raw_fd(), &mut buffer)
            else {
                continue;
            };
            let from = from.unwrap();
            let from: IpAddr = match (from.as_sockaddr_in(), from.as_sockaddr_in6()) {
                (Some(ip), _) => ip.ip().into(),
                (_, ip) => ip.unwrap().ip().into(),
            };
            // Only IPv4 passes its header on.
            let header = if from.is_ipv4() {
                usize::from(buffer[0] & 15) * 4
            } else {
                0
            };
            let packet = &mut buffer[header..length];
            let checksum: [u8; 4] = packet[8..12].try_into().unwrap();
            packet[8..12].fill(0);
            assert_eq!(crc32c(packet), u32::from_le_bytes(checksum));
            let port = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
            let ports = [port(0), port(2)];
            return Some(Packet::new(&from.to_string(), ports, packet[12]));
        }
        None
    }
}

/// The checksum of SCTP (RFC 9260, appendix A).
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
    let add = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    !bytes.iter().fold(!0, add)
}

fn mappings() -> Value {
    json!([{ "hostPort": HOST_PORT, "containerPort": CONTAINER_PORT, "protocol": "sctp" }])
}

#[test]
fn an_association_is_set_up_and_the_next_one_reaches_the_present_container() {
    let Some(lan) = Lan::new(Side::Ours) else {
        return;
    };
    for family in [0, 1] {
        let client = Wire::new(&lan.outside, family);
        let servers = [0, 1].map(|pod: usize| Wire::new(&lan.pods[pod].sandbox, family));
        let ports = [CLIENT_PORT, HOST_PORT];
        let init = || client.send(NODE[family], ports, 0, INIT, CLIENT_TAG);
        let assert_reaches = |pod: usize| {
            init();
            let arrived = Packet::new(OUTSIDE[family], [CLIENT_PORT, CONTAINER_PORT], INIT);
            assert_eq!(servers[pod].receive(TIMEOUT), Some(arrived));
            let ports = [CONTAINER_PORT, CLIENT_PORT];
            servers[pod].send(OUTSIDE[family], ports, CLIENT_TAG, INIT_ACK, SERVER_TAG);
            let answer = Packet::new(NODE[family], [HOST_PORT, CLIENT_PORT], INIT_ACK);
            assert_eq!(client.receive(TIMEOUT), Some(answer));
        };
        lan.map(0, &mappings());
        assert_reaches(0);
        // The same two ends again, and the kernel has forgotten which container it was.
        lan.map(1, &mappings());
        assert_reaches(1);
        lan.unmap(1);
        assert_reaches(0);
        lan.unmap(0);
        init();
        assert!(
            servers
                .iter()
                .all(|server| server.receive(MOMENT).is_none())
        );
    }
}
