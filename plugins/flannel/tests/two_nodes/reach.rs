//! Packets from one container to another.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use testkit::NetNs;
use testkit::traffic::connect;

use crate::cluster::Member;
use crate::lease::Family;

/// The time limit of each step, for a machine that is busy with other tests.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The size of the headers around a ping's data: IP and ICMP.
fn around(family: Family) -> u32 {
    family.ip_header() + 8
}

/// One ping with `data` bytes, which must not be fragmented.
#[track_caller]
fn ping(from: &Member, to: &Member, family: Family, data: u32) -> Output {
    let mut ping = Command::new("ping");
    ping.args([family.option(), "-n", "-c1", "-W0.3", "-M", "do", "-s"]);
    ping.args([&data.to_string(), &to.address(family)]);
    // The mount namespace is the node's, the network namespace the container's.
    let output = from
        .lab
        .node
        .enter(|| from.container.sandbox.enter(|| ping.output()));
    output.expect("`ping` can be run (Debian package iputils-ping)")
}

/// A packet of exactly this size, with headers, is answered by one of the same size.
#[track_caller]
pub(crate) fn assert_passes(from: &Member, to: &Member, family: Family, size: u32) {
    let until = Instant::now() + TIMEOUT;
    loop {
        let output = ping(from, to, family, size - around(family));
        if output.status.success() {
            return;
        }
        assert!(
            Instant::now() < until,
            "{size} bytes did not pass: {output:?}"
        );
    }
}

/// The node refuses a packet that is larger by one byte, and the container learns the limit.
#[track_caller]
pub(crate) fn assert_turned_back(from: &Member, to: &Member, family: Family, largest: u32) {
    let output = ping(from, to, family, largest + 1 - around(family));
    let said = String::from_utf8_lossy(&output.stdout);
    let error_text = said.contains(&format!("Packet too big: mtu={largest}"));
    assert!(!output.status.success() && error_text, "{output:?}");
    assert_too_large(from, to, family, largest);
}

/// The container itself refuses a packet that is larger by one byte.
#[track_caller]
pub(crate) fn assert_too_large(from: &Member, to: &Member, family: Family, largest: u32) {
    let data = largest + 1 - around(family);
    let output = ping(from, to, family, data);
    let said = String::from_utf8_lossy(&output.stderr);
    let error_text =
        said.contains("message too long") && said.trim_end().ends_with(&largest.to_string());
    assert!(!output.status.success() && error_text, "{output:?}");
}

/// A stream of many large segments arrives whole, from the container's own address.
#[track_caller]
pub(crate) fn assert_streams(from: &Member, to: &Member, family: Family) {
    let sent: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
    let listener = listen(&to.container.sandbox, &to.address(family));
    let there = listener.local_addr().unwrap();
    let client = connect(&from.container.sandbox, there);
    // A socket stays in the namespace in which it was opened.
    let (mut server, peer) = listener.accept().unwrap();
    let address: IpAddr = from.address(family).parse().unwrap();
    assert_eq!(peer.ip(), address);
    assert_eq!(client.peer_addr().unwrap(), there);

    for socket in [&client, &server] {
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        socket.set_write_timeout(Some(TIMEOUT)).unwrap();
    }
    let mut received = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            (&client).write_all(&sent).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
        });
        server.read_to_end(&mut received).unwrap();
    });
    assert!(
        received == sent,
        "{} of {} bytes arrived, or others than were sent",
        received.len(),
        sent.len()
    );
}

#[track_caller]
fn listen(sandbox: &NetNs, address: &str) -> TcpListener {
    let address: IpAddr = address.parse().unwrap();
    sandbox.enter(|| TcpListener::bind((address, 0))).unwrap()
}
