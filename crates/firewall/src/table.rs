//! Which tables and sets this crate has: their families and names.

use std::fmt;

use ipnetwork::IpNetwork;
use nix::libc;

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
    /// The ports that are watched.
    Ports,
    /// The ports, each with the MAC that may send through it.
    Senders,
}

impl Table {
    pub(crate) const ALL: [Self; 3] = [Self::Masquerade4, Self::Masquerade6, Self::MacSpoof];
    pub(crate) const MASQUERADE: [Self; 2] = [Self::Masquerade4, Self::Masquerade6];

    /// The `NFPROTO_*` number of its family.
    pub(crate) fn family(self) -> u8 {
        let family = match self {
            Self::Masquerade4 => libc::NFPROTO_IPV4,
            Self::Masquerade6 => libc::NFPROTO_IPV6,
            Self::MacSpoof => libc::NFPROTO_BRIDGE,
        };
        family as u8
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Masquerade4 | Self::Masquerade6 => "twill_masquerade",
            Self::MacSpoof => "twill_macspoofchk",
        }
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
            Self::MacSpoof => &[SetKind::Owners, SetKind::Ports, SetKind::Senders],
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
            Self::Ports => "ports".to_owned(),
            Self::Senders => "senders".to_owned(),
        }
    }

    /// The kind of set that has this name; `None` if this crate has none.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let fixed = [Self::Owners, Self::FromHosts, Self::Ports, Self::Senders];
        if let Some(kind) = fixed.into_iter().find(|kind| kind.name() == name) {
            return Some(kind);
        }
        let network = name.strip_prefix("from-")?.replace('_', ":");
        network.parse().ok().map(Self::From)
    }
}

impl Set {
    /// Whether the set is created for a network, once the network's first address is masqueraded.
    pub(crate) fn is_of_a_network(&self) -> bool {
        matches!(self.kind, SetKind::From(_))
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
            SetKind::Ports,
            SetKind::Senders,
            from("10.244.1.0/24"),
            from("fd00:10::/64"),
        ] {
            assert_eq!(SetKind::of_name(&kind.name()), Some(kind));
        }
        for other in ["", "mine", "from-", "from-here", "owners2"] {
            assert_eq!(SetKind::of_name(other), None, "{other}");
        }
    }
}
