//! Which tables and sets this crate has: their families and names.

use std::fmt;

use ipnetwork::IpNetwork;
use nix::libc;

use crate::port_map::{Conditions, Token};

/// A table of this crate. IPv4 and IPv6 have one each, because a kernel without IPv6 has no table
/// for both (`inet`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Table {
    /// Which IPv4 addresses are masqueraded.
    Masquerade4,
    /// Which IPv6 addresses are masqueraded.
    Masquerade6,
    /// Which MAC may send through which port of a bridge.
    MacSpoof,
    /// Which ports of the node's IPv4 addresses lead to containers.
    PortMap4,
    /// Which ports of the node's IPv6 addresses lead to containers.
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
    /// The map of the records: what each attachment was granted. No rule looks into it.
    Owners,
    /// The addresses of this network that are masqueraded when they send to other networks.
    From(IpNetwork),
    /// The addresses without a network of their own: whatever they send is masqueraded.
    FromHosts,
    /// The ports of bridges that are watched.
    BridgePorts,
    /// The ports of bridges, each with the MAC that may send through it.
    Senders,
    /// The map of the records of mappings that have no effect while another attachment has the
    /// host port. No rule looks into it.
    Waiting,
    /// The host addresses and ports that lead to containers; with a token, under these conditions.
    Addresses(Option<Token>),
    /// The host ports that lead to containers at all addresses of the node; with a token, under
    /// these conditions.
    Ports(Option<Token>),
    /// A set whose name is all that it has: the conditions of a network.
    Conditions(Conditions),
    /// The addresses of the node that packets have come for, which the rules themselves collect.
    Local,
    /// The only addresses of the node whose ports are mapped, where not all of them are.
    Node,
    /// Pairs of a source and a container: what the container itself sends, and what the node sends
    /// from its loopback address.
    Hairpins,
    /// The containers that see all clients of their mapped ports with the node's address.
    ToAll,
    /// The containers of this network that see clients of the same network with the node's address.
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
    /// The tables of the plugins that create links.
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
                SetKind::Ports(None),
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
            Self::Ports(None) => "host-ports".to_owned(),
            Self::Ports(Some(token)) => format!("host-ports-{token}"),
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
            Self::Ports(None),
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
                ("ports", token) => Some(Self::Ports(Some(Token::of_text(token)?))),
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

    /// Whether the set's elements are there for the sake of attachments.
    pub(crate) fn has_content(&self) -> bool {
        !matches!(self.kind, SetKind::Local | SetKind::Node)
    }

    /// Whether the set has an element that shows that nobody has flushed it.
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
            SetKind::Ports(None),
            SetKind::Ports(Token::of_text("abcdefghiJ")),
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
