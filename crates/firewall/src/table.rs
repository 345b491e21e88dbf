//! The tables and sets of this crate: their families and names.

use std::fmt;

use ipnetwork::IpNetwork;
use nix::libc;

use crate::port_map::{Conditions, Token};

/// A table of this crate. IPv4 and IPv6 have one each, because a kernel without IPv6 has no table
/// for both (`inet`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Table {
    /// `twill_masquerade` for IPv4.
    Masquerade4,
    /// `twill_masquerade` for IPv6.
    Masquerade6,
    /// `twill_macspoofchk`: the ports of bridges, and the MAC that may send through each.
    MacSpoof,
    /// `twill_portmap` for IPv4.
    PortMap4,
    /// `twill_portmap` for IPv6.
    PortMap6,
}

/// A set or a map of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Set {
    pub(crate) table: Table,
    pub(crate) kind: SetKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum SetKind {
    /// The map of the records, with the grants of each attachment. No rule looks it up.
    Owners,
    /// The addresses of this network that are masqueraded when they send to other networks.
    From(IpNetwork),
    /// The addresses without a network of their own: whatever they send is masqueraded.
    FromHosts,
    /// Bridge ports with `macspoofchk`.
    BridgePorts,
    /// The ports of bridges, each with the MAC that may send through it.
    Senders,
    /// The map of the records of mappings that have no effect while another attachment has the host
    /// port. No rule looks it up.
    Waiting,
    /// The host addresses and ports that lead to containers; with a token, under these conditions.
    Addresses(Option<Token>),
    /// The host ports that lead to containers at all addresses of the node; with a token, under
    /// these conditions.
    HostPorts(Option<Token>),
    /// A set without container elements; its name stores a network's conditions.
    Conditions(Conditions),
    /// Node addresses that packets were sent to; filled by the rules.
    Local,
    /// The node addresses whose ports are mapped, if restricted (kube-proxy in IPVS mode).
    Node,
    /// Pairs of a source and a container that need SNAT: the container itself, and the node's
    /// loopback address.
    Hairpins,
    /// Containers with SNAT for all clients (`masqAll`).
    ToAll,
    /// The containers of this network, with SNAT for clients of the same network.
    ToNetwork(IpNetwork),
}

impl Table {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] = [
        Self::Masquerade4,
        Self::Masquerade6,
        Self::MacSpoof,
        Self::PortMap4,
        Self::PortMap6,
    ];
    /// The tables for `bridge`.
    pub(crate) const OF_LINKS: [Self; 3] = [Self::Masquerade4, Self::Masquerade6, Self::MacSpoof];
    pub(crate) const PORT_MAP: [Self; 2] = [Self::PortMap4, Self::PortMap6];
    pub(crate) const MASQUERADE: [Self; 2] = [Self::Masquerade4, Self::Masquerade6];

    /// The `NFPROTO_*` number of its family.
    pub(crate) fn family(self) -> u8 {
        let family = match self {
            Self::Masquerade4 | Self::PortMap4 => libc::NFPROTO_IPV4,
            Self::Masquerade6 | Self::PortMap6 => libc::NFPROTO_IPV6,
            Self::MacSpoof => libc::NFPROTO_BRIDGE,
        };
        family as u8
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Masquerade4 | Self::Masquerade6 => "twill_masquerade",
            Self::MacSpoof => "twill_macspoofchk",
            Self::PortMap4 | Self::PortMap6 => "twill_portmap",
        }
    }

    /// Whether the table's packets are of IPv6.
    pub(crate) fn is_ipv6(self) -> bool {
        i32::from(self.family()) == libc::NFPROTO_IPV6
    }

    pub(crate) fn set(self, kind: SetKind) -> Set {
        Set { table: self, kind }
    }

    /// The map of the table's records.
    pub(crate) fn owners(self) -> Set {
        self.set(SetKind::Owners)
    }

    /// The sets that the table has from the start.
    pub(crate) fn sets(self) -> impl Iterator<Item = Set> {
        let kinds: &[SetKind] = match self {
            Self::Masquerade4 | Self::Masquerade6 => &[SetKind::Owners, SetKind::FromHosts],
            Self::MacSpoof => &[SetKind::Owners, SetKind::BridgePorts, SetKind::Senders],
            Self::PortMap4 | Self::PortMap6 => &[
                SetKind::Owners,
                SetKind::Waiting,
                SetKind::Local,
                SetKind::Addresses(None),
                SetKind::HostPorts(None),
                SetKind::Hairpins,
                SetKind::ToAll,
            ],
        };
        kinds.iter().map(move |kind| self.set(*kind))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", family_name(self.family()), self.name())
    }
}

/// The name that `nft` has for a family (`NFPROTO_*`).
pub(crate) fn family_name(family: u8) -> &'static str {
    match i32::from(family) {
        libc::NFPROTO_INET => "inet",
        libc::NFPROTO_IPV4 => "ip",
        libc::NFPROTO_BRIDGE => "bridge",
        _ => "ip6",
    }
}

impl SetKind {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Owners => "owners".to_owned(),
            // A colon ends a name in `nft`'s language.
            Self::From(network) => format!("from-{network}").replace(':', "_"),
            Self::FromHosts => "from-hosts".to_owned(),
            Self::BridgePorts => "ports".to_owned(),
            Self::Senders => "senders".to_owned(),
            Self::Waiting => "waiting".to_owned(),
            Self::Addresses(None) => "host-addresses".to_owned(),
            Self::Addresses(Some(token)) => format!("host-addresses-{token}"),
            Self::HostPorts(None) => "host-ports".to_owned(),
            Self::HostPorts(Some(token)) => format!("host-ports-{token}"),
            Self::Conditions(conditions) => format!("if-{conditions}"),
            Self::Local => "local".to_owned(),
            Self::Node => "node".to_owned(),
            Self::Hairpins => "hairpins".to_owned(),
            Self::ToAll => "to-all".to_owned(),
            Self::ToNetwork(network) => format!("to-{network}").replace(':', "_"),
        }
    }

    /// The kind of set that has this name; `None` if this crate has none.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let fixed = [
            Self::Owners,
            Self::FromHosts,
            Self::BridgePorts,
            Self::Senders,
            Self::Waiting,
            Self::Addresses(None),
            Self::HostPorts(None),
            Self::Local,
            Self::Node,
            Self::Hairpins,
            Self::ToAll,
        ];
        if let Some(kind) = fixed.into_iter().find(|kind| kind.name() == name) {
            return Some(kind);
        }
        let (start, rest) = name.split_once('-')?;
        let network = || rest.replace('_', ":").parse().ok();
        match start {
            "from" => network().map(Self::From),
            "to" => network().map(Self::ToNetwork),
            "host" => match rest.split_once('-')? {
                ("addresses", token) => Some(Self::Addresses(Some(Token::of_text(token)?))),
                ("ports", token) => Some(Self::HostPorts(Some(Token::of_text(token)?))),
                _ => None,
            },
            "if" => Conditions::of_name(rest).map(Self::Conditions),
            _ => None,
        }
    }
}

impl Set {
    /// Whether the set is created once it is needed: for a network, or for conditions.
    pub(crate) fn is_on_demand(&self) -> bool {
        !self.table.sets().any(|set| set == *self)
    }

    /// Whether the set's elements belong to attachments.
    pub(crate) fn has_content(&self) -> bool {
        !matches!(self.kind, SetKind::Local | SetKind::Node)
    }

    /// Whether the set has a witness element (a flush removes it).
    pub(crate) fn has_witness(&self) -> bool {
        self.kind != SetKind::Local
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of table {}", self.kind.name(), self.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_set_identifies_its_kind() {
        let from = |network: &str| SetKind::From(network.parse().unwrap());
        for kind in [
            SetKind::Owners,
            SetKind::FromHosts,
            SetKind::BridgePorts,
            SetKind::Senders,
            SetKind::Waiting,
            SetKind::Addresses(None),
            SetKind::Addresses(Token::of_text("0123456789")),
            SetKind::HostPorts(None),
            SetKind::HostPorts(Token::of_text("abcdefghiJ")),
            SetKind::Local,
            SetKind::Node,
            SetKind::Hairpins,
            SetKind::ToAll,
            SetKind::ToNetwork("fd00:10::/64".parse().unwrap()),
            from("10.244.1.0/24"),
            from("fd00:10::/64"),
        ] {
            assert_eq!(SetKind::of_name(&kind.name()), Some(kind));
        }
        for other in [
            "",
            "mine",
            "from-",
            "from-here",
            "owners2",
            "to-",
            "host-addresses-x",
            "host-",
            "if-",
            "if-x",
        ] {
            assert_eq!(SetKind::of_name(other), None, "{other}");
        }
    }
}
