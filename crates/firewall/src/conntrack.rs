//! Connections that the kernel tracks (conntrack): deletion of those with an outdated DNAT target.
//!
//! A tracked connection keeps the DNAT target of its first packet, even if the rules have changed.
//! A TCP client reconnects; a UDP or SCTP client may go on without end.

use std::net::IpAddr;

use netlink::attributes::{Attributes, Malformed, find};
use netlink::{Answer, KernelMessage, KernelRequest};
use nix::libc;

use crate::FirewallError;
use crate::grant::address_of;
use crate::kernel::Kernel;
use crate::nf_tables::HEADER;
use crate::port_map::claim::Claim;
use crate::port_map::{PortMapping, Transport};
use crate::table::{Set, SetKind, Table};

// linux/netfilter/nfnetlink_conntrack.h
const MESSAGE_NEW: u16 = 0;
const MESSAGE_GET: u16 = 1;
const MESSAGE_DELETE: u16 = 2;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const IP_SOURCE: [u16; 2] = [1, 3];
const IP_DESTINATION: [u16; 2] = [2, 4];
const PROTOCOL_NUMBER: u16 = 1;
const PROTOCOL_SOURCE_PORT: u16 = 2;
const PROTOCOL_DESTINATION_PORT: u16 = 3;
const FILTER_ORIGINAL: u16 = 1;
const FILTER_REPLY: u16 = 2;
/// Flags in [`FILTER_ORIGINAL`] (`CTA_FILTER_F_CTA_PROTO_*`).
const BY_PROTOCOL: u32 = 1 << 3;
const BY_DESTINATION_PORT: u32 = 1 << 5;

/// A list takes the kernel about as long for a few connections as for none, so many ports are
/// looked for in one list.
const MOST_LISTS: usize = 4;

/// A port of the node, and the container that it leads to, or no longer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MappedPort {
    pub(crate) mapping: PortMapping,
    pub(crate) target: IpAddr,
}

/// The connections to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgotten {
    /// Those with another target than the container.
    LeadingElsewhere,
    /// Those with the container as target.
    LeadingThere,
}

/// A tracked connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    is_ipv6: bool,
    original: Vec<u8>,
    zone: Vec<u8>,
    id: Vec<u8>,
    protocol: u8,
    /// The destination of the first packet.
    destination: (IpAddr, u16),
    /// The source of replies, which is the DNAT target.
    answering: (IpAddr, u16),
}

impl Kernel {
    /// Deletes connections to ports of the node. `is_node` returns whether an address is the
    /// node's; it is called only for destinations of such connections.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(crate) fn forget_connections(
        &mut self,
        ports: &[MappedPort],
        forgotten: Forgotten,
        mut is_node: impl FnMut(IpAddr) -> Result<bool, FirewallError>,
    ) -> Result<(), FirewallError> {
        let ports: Vec<&MappedPort> = ports.iter().filter(|it| it.is_remembered()).collect();
        for is_ipv6 in [false, true] {
            let own: Vec<_> = ports
                .iter()
                .filter(|mapped| mapped.target.is_ipv6() == is_ipv6)
                .collect();
            let mut questions: Vec<(Transport, Option<u16>)> = own
                .iter()
                .map(|mapped| (mapped.mapping.protocol, Some(mapped.mapping.host_port)))
                .collect();
            if questions.len() > MOST_LISTS {
                questions.iter_mut().for_each(|(_, port)| *port = None);
            }
            questions.sort_unstable();
            questions.dedup();
            for (protocol, port) in questions {
                let listed = self.dump(&list(is_ipv6, protocol, port), Connection::read)?;
                for connection in listed {
                    let mapped = own.iter().find(|mapped| connection.is_by(mapped));
                    let Some(mapped) = mapped else { continue };
                    let leads_there = connection.leads_to(mapped);
                    let is_doomed = match forgotten {
                        Forgotten::LeadingElsewhere => !leads_there,
                        Forgotten::LeadingThere => leads_there,
                    };
                    let is_doomed = is_doomed
                        && is_node(connection.destination.0)?
                        && (forgotten == Forgotten::LeadingThere || !self.is_right(&connection)?);
                    if is_doomed {
                        self.forget_connection(&connection)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the connection's target is the one in the maps: that of its own address and port
    /// first, or any with conditions.
    fn is_right(&mut self, connection: &Connection) -> Result<bool, FirewallError> {
        let table = if connection.is_ipv6 {
            Table::PortMap6
        } else {
            Table::PortMap4
        };
        let Some(protocol) = Transport::of_number(connection.protocol) else {
            return Ok(false);
        };
        let (ip, host_port) = connection.destination;
        let element_in = |set: &Set| {
            let (host_ip, token) = match set.kind {
                SetKind::Addresses(token) => (Some(ip), token),
                SetKind::HostPorts(token) => (None, token),
                _ => return None,
            };
            let mapping = PortMapping {
                protocol,
                host_ip,
                host_port,
                container_port: 0,
            };
            let claim = Claim {
                mapping,
                target: ip,
                token,
                rank: 0,
            };
            Some((claim.element(table).0, host_ip.is_some(), token.is_some()))
        };
        let sets = self.sets_in(table)?;
        let elements: Vec<_> = sets.iter().filter_map(element_in).collect();
        let answers = self.ask(elements.iter().map(|(element, _, _)| element))?;
        let (mut by_address, mut by_port, mut under_conditions) = (None, None, Vec::new());
        for ((element, is_by_address, has_conditions), listed) in elements.iter().zip(answers) {
            let claim = listed.and_then(|listed| Claim::of_element(element, &listed.data));
            let end = claim.map(|claim| (claim.target, claim.mapping.container_port));
            match (has_conditions, is_by_address) {
                (true, _) => under_conditions.extend(end),
                (false, true) => by_address = end,
                (false, false) => by_port = end,
            }
        }
        Ok(by_address.or(by_port) == Some(connection.answering)
            || under_conditions.contains(&connection.answering))
    }

    fn forget_connection(&mut self, connection: &Connection) -> Result<(), FirewallError> {
        /// The flag of an attribute's kind that marks a value which consists of attributes.
        const NESTED: u16 = 1 << 15;
        // The ID protects a new connection that has replaced this one meanwhile.
        let mut attributes = Attributes::new()
            .bytes(TUPLE_ORIGINAL | NESTED, &connection.original)
            .bytes(ID, &connection.id);
        if !connection.zone.is_empty() {
            attributes = attributes.bytes(ZONE, &connection.zone);
        }
        let attributes = attributes.into_bytes();
        let mut request = request(connection.is_ipv6, MESSAGE_DELETE, attributes);
        request.answer = Answer::Acknowledgement;
        self.exchange(&[&request]).map(drop)
    }
}

impl MappedPort {
    /// Whether clients may continue to use an old connection.
    fn is_remembered(&self) -> bool {
        self.mapping.protocol != Transport::Tcp
    }
}

impl Connection {
    pub(crate) fn read(reply: &KernelMessage<'_>) -> Result<Option<Self>, Malformed> {
        const SUBSYSTEM: u16 = (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8;
        let Some((header, attributes)) = reply.payload.split_at_checked(HEADER) else {
            return Ok(None);
        };
        let is_ipv6 = header.first().copied().map(i32::from) == Some(libc::AF_INET6);
        if reply.message_type != SUBSYSTEM | MESSAGE_NEW {
            return Ok(None);
        }
        let original = find(attributes, TUPLE_ORIGINAL)?;
        let answer = find(attributes, TUPLE_REPLY)?;
        let family = usize::from(is_ipv6);
        let end = |tuple, kinds: [u16; 2], port| {
            let ip = find(
                find(tuple, TUPLE_IP)?,
                kinds.get(family).copied().unwrap_or_default(),
            )?;
            let port = find(find(tuple, TUPLE_PROTOCOL)?, port)?;
            let port: Option<[u8; 2]> = port.try_into().ok();
            Ok::<_, Malformed>(address_of(ip).zip(port.map(u16::from_be_bytes)))
        };
        let destination = end(original, IP_DESTINATION, PROTOCOL_DESTINATION_PORT)?;
        let answering = end(answer, IP_SOURCE, PROTOCOL_SOURCE_PORT)?;
        let protocol = find(find(original, TUPLE_PROTOCOL)?, PROTOCOL_NUMBER)?;
        let (Some(destination), Some(answering), [protocol]) = (destination, answering, protocol)
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            is_ipv6,
            original: original.to_vec(),
            zone: find(attributes, ZONE)?.to_vec(),
            id: find(attributes, ID)?.to_vec(),
            protocol: *protocol,
            destination,
            answering,
        }))
    }

    /// Whether the connection's first packet was for the port of the node.
    fn is_by(&self, mapped: &MappedPort) -> bool {
        let PortMapping {
            protocol,
            host_ip,
            host_port,
            ..
        } = mapped.mapping;
        let (ip, port) = self.destination;
        let host_ip = host_ip.filter(|ip| !ip.is_unspecified());
        self.protocol == protocol.number()
            && port == host_port
            && host_ip.is_none_or(|host_ip| host_ip == ip)
    }

    fn leads_to(&self, mapped: &MappedPort) -> bool {
        self.answering == (mapped.target, mapped.mapping.container_port)
    }
}

/// The question for the connections of a protocol and, if one is given, to a port. Kernels before
/// 5.8 list all of them.
fn list(is_ipv6: bool, protocol: Transport, port: Option<u16>) -> KernelRequest {
    let mut by = Attributes::new().bytes(PROTOCOL_NUMBER, &[protocol.number()]);
    let mut flags = BY_PROTOCOL;
    if let Some(port) = port {
        by = by.bytes(PROTOCOL_DESTINATION_PORT, &port.to_be_bytes());
        flags |= BY_DESTINATION_PORT;
    }
    let filter = Attributes::new()
        .bytes(FILTER_ORIGINAL, &flags.to_ne_bytes())
        .bytes(FILTER_REPLY, &0_u32.to_ne_bytes());
    let attributes = Attributes::new()
        .nest(TUPLE_ORIGINAL, Attributes::new().nest(TUPLE_PROTOCOL, by))
        .nest(FILTER, filter);
    request(is_ipv6, MESSAGE_GET, attributes.into_bytes())
}

fn request(is_ipv6: bool, message: u16, attributes: Vec<u8>) -> KernelRequest {
    let family = if is_ipv6 {
        libc::AF_INET6
    } else {
        libc::AF_INET
    };
    let mut payload = vec![family as u8, 0, 0, 0];
    payload.extend(attributes);
    let what = match message {
        MESSAGE_DELETE => "forget a tracked connection",
        _ => "list tracked connections",
    };
    KernelRequest {
        what: what.to_owned(),
        message_type: (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | message,
        flags: 0,
        payload,
        answer: Answer::Message,
    }
}
