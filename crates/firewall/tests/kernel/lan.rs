//! A small network, and packets in it.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::NetNs;
use testkit::traffic::connect;

use crate::printed;

/// The timeout for a packet that should arrive.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
/// The time after which a packet is sent again.
const PAUSE: Duration = Duration::from_millis(50);
/// The timeout for a packet that should not arrive.
const MOMENT: Duration = Duration::from_millis(200);

/// The addresses of the outside machine, and those of the node in its network.
pub(crate) const OUTSIDE: [&str; 2] = ["192.0.2.2", "2001:db8::2"];
pub(crate) const NODE: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
/// The addresses of the first container.
pub(crate) const CONTAINER: [&str; 2] = ["10.244.1.2", "fd00:10::2"];
/// Addresses of the containers' network that the outside machine has.
pub(crate) const STRAYED: [&str; 2] = ["10.244.1.200", "fd00:10::200"];

/// A node with a bridge, two containers at its ports veth1 and veth2, and an outside machine with a
/// route to the containers.
pub(crate) struct Lan {
    pub(crate) node: NetNs,
    pub(crate) containers: [NetNs; 2],
    pub(crate) outside: NetNs,
}

impl Lan {
    pub(crate) fn new() -> Self {
        let lan = Self {
            node: NetNs::new().unwrap(),
            containers: [NetNs::new().unwrap(), NetNs::new().unwrap()],
            outside: NetNs::new().unwrap(),
        };
        let node = |args: &str| run(&lan.node, args);
        lan.node.enter(|| {
            netlink::sysctl::write(&["ipv4", "ip_forward"], "1").unwrap();
            netlink::sysctl::write(&["ipv6", "conf", "all", "forwarding"], "1").unwrap();
        });
        node("link add cni0 type bridge");
        node("addr add 10.244.1.1/24 dev cni0");
        node("addr add fd00:10::1/64 dev cni0 nodad");
        node("link set cni0 up");
        for (number, container) in [1, 2].into_iter().zip(&lan.containers) {
            let netns = container.path();
            let netns = netns.display();
            node(&format!(
                "link add veth{number} master cni0 type veth peer name eth0 netns {netns}"
            ));
            node(&format!("link set veth{number} up"));
            let inside = |args: &str| run(container, args);
            let last = number + 1;
            inside(&format!("link set eth0 address 02:00:00:00:00:0{number}"));
            inside(&format!("addr add 10.244.1.{last}/24 dev eth0"));
            inside(&format!("addr add fd00:10::{last}/64 dev eth0 nodad"));
            inside("link set eth0 up");
            inside("route add default via 10.244.1.1");
            inside("route add default via fd00:10::1");
        }
        let netns = lan.outside.path();
        let netns = netns.display();
        node(&format!(
            "link add wan type veth peer name eth0 netns {netns}"
        ));
        node("addr add 192.0.2.1/24 dev wan");
        node("addr add 2001:db8::1/64 dev wan nodad");
        node("link set wan up");
        let outside = |args: &str| run(&lan.outside, args);
        outside("addr add 192.0.2.2/24 dev eth0");
        outside("addr add 2001:db8::2/64 dev eth0 nodad");
        outside("link set eth0 up");
        outside("route add 10.244.1.0/24 via 192.0.2.1");
        outside("route add fd00:10::/64 via 2001:db8::1");
        for (family, strayed) in STRAYED.into_iter().enumerate() {
            // Without `nodad`, even this IPv6 address would be unusable at first.
            let how = ["/32 dev lo", "/128 dev lo nodad"][family];
            outside(&format!("addr add {strayed}{how}"));
            node(&format!("route add {strayed} via {}", OUTSIDE[family]));
            let gateway = ["10.244.1.1", "fd00:10::1"][family];
            run(
                &lan.containers[0],
                &format!("route add {strayed} via {gateway}"),
            );
        }
        lan
    }

    /// The source addresses that the outside machine sees on UDP and on TCP packets that the first
    /// container sends to one of its addresses.
    #[track_caller]
    pub(crate) fn seen_at(&self, address: &str) -> [IpAddr; 2] {
        let udp = udp_from(&self.containers[0], &self.outside, address, TIMEOUT).unwrap();
        let listener = self
            .outside
            .enter(|| TcpListener::bind((address, 0)).unwrap());
        let to = listener.local_addr().unwrap();
        let _stream = connect(&self.containers[0], to);
        let (_, from) = listener.accept().unwrap();
        [udp, from.ip()]
    }

    /// Whether a packet of the first container reaches the second one, whatever MAC the first one
    /// has.
    pub(crate) fn is_heard(&self, should_be: bool) -> bool {
        // An ARP answer could not reach a changed MAC.
        let neighbor = "neigh replace 10.244.1.3 lladdr 02:00:00:00:00:02 dev eth0";
        run(&self.containers[0], neighbor);
        let timeout = if should_be { TIMEOUT } else { MOMENT };
        let [from, to] = &self.containers;
        udp_from(from, to, "10.244.1.3", timeout).is_some()
    }

    /// Whether the first container gets an answer from the outside machine.
    pub(crate) fn is_answered(&self, address: &str) -> bool {
        let mut ping = Command::new("ping");
        ping.args(["-c", "1", "-W", "1", address]);
        self.containers[0].command(&mut ping).status.success()
    }
}

/// The source address that a datagram from one namespace to an address of another one arrives with;
/// `None` if it does not arrive.
pub(crate) fn udp_from(
    from: &NetNs,
    to: &NetNs,
    address: &str,
    timeout: Duration,
) -> Option<IpAddr> {
    let receiver = to.enter(|| {
        UdpSocket::bind((address, 0)).unwrap_or_else(|error| panic!("{address}: {error}"))
    });
    let to = receiver.local_addr().unwrap();
    let any: SocketAddr = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }
        .parse()
        .unwrap();
    let sender = from.enter(|| UdpSocket::bind(any).unwrap());
    sent(&sender, to, &receiver, timeout)
}

/// The source address that a datagram arrives with; `None` if it does not arrive. It is sent
/// repeatedly, because a new link may lose the first one.
pub(crate) fn sent(
    sender: &UdpSocket,
    to: SocketAddr,
    receiver: &UdpSocket,
    timeout: Duration,
) -> Option<IpAddr> {
    let deadline = Instant::now() + timeout;
    receiver.set_read_timeout(Some(PAUSE)).unwrap();
    while Instant::now() < deadline {
        sender.send_to(b"hello", to).unwrap();
        match receiver.recv_from(&mut [0; 16]) {
            Ok((_, from)) => return Some(from.ip()),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => panic!("cannot receive: {error}"),
        }
    }
    None
}

#[track_caller]
pub(crate) fn run(netns: &NetNs, args: &str) {
    printed(netns, &format!("ip {args}"));
}
