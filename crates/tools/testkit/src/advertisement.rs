//! Router advertisements (RFC 4861).

use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::sockopt::Ipv6MulticastHops;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn6, bind, sendto,
    setsockopt, socket,
};

use crate::netns::NetNs;

/// Every node on the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A receiver takes no advertisement that a router may have passed on.
const HOP_LIMIT: i32 = 255;

/// How long a link may take until it has an address to send from.
const LIMIT: Duration = Duration::from_secs(10);

/// Sends one router advertisement by a link of a namespace. Whoever heeds it has its sender as a
/// default router for this many seconds; 0 takes that back.
///
/// # Panics
/// If it cannot be sent, as when the link is down.
#[track_caller]
pub fn advertise_router(from: &NetNs, link: &str, lifetime: u16) {
    let [high, low] = lifetime.to_be_bytes();
    // Type 134, code 0, the checksum, which the kernel sets, a hop limit, no flags, the lifetime,
    // and two timers.
    let message = [134, 0, 0, 0, 64, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 0];
    let until = Instant::now() + LIMIT;
    loop {
        let source = link_local(from, link);
        let sent = match source {
            Some(source) => from.enter(|| send(link, source, &message)),
            None => Err(Errno::EADDRNOTAVAIL),
        };
        let Err(error) = sent else { return };
        let is_late = Instant::now() >= until;
        assert!(!is_late, "cannot send a router advertisement: {error}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The address that an advertisement comes from; nobody heeds one from another kind of address.
#[track_caller]
fn link_local(from: &NetNs, link: &str) -> Option<Ipv6Addr> {
    let shown = from.ip_json(&["-6", "address", "show", "dev", link]);
    let links = shown.as_array()?.iter();
    // `ip` has empty objects for other links.
    let mut addresses = links
        .filter_map(|link| link["addr_info"].as_array())
        .flatten();
    let address = addresses.find(|address| address["scope"] == "link")?;
    address["local"].as_str()?.parse().ok()
}

fn send(link: &str, source: Ipv6Addr, message: &[u8]) -> nix::Result<()> {
    let index = if_nametoindex(link)?;
    let socket = socket(
        AddressFamily::Inet6,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::IcmpV6,
    )?;
    setsockopt(&socket, Ipv6MulticastHops, &HOP_LIMIT)?;
    let at = |address| SockaddrIn6::from(SocketAddrV6::new(address, 0, 0, index));
    // It cannot be had as long as the kernel looks for duplicates of it.
    bind(socket.as_raw_fd(), &at(source))?;
    let to = at(ALL_NODES);
    sendto(socket.as_raw_fd(), message, &to, MsgFlags::empty())?;
    Ok(())
}
