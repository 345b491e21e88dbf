use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

/// What a configuration says of a range; everything but the subnet has a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeSpec {
    /// The subnet that the range's addresses belong to; host bits are dropped.
    pub subnet: IpNetwork,
    /// The first address that may be given; by default the subnet's first.
    pub start: Option<IpAddr>,
    /// The last address that may be given; by default the subnet's last, for IPv4 the one before the broadcast address.
    pub end: Option<IpAddr>,
    /// The subnet's gateway, which is never given; by default the subnet's first address.
    pub gateway: Option<IpAddr>,
}

/// A range that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The subnet has no address beside its own, the gateway's and the broadcast address.
    #[error("subnet {0} is too small to allocate from: use a prefix length of {max} or less", max = if .0.is_ipv4() { 30 } else { 126 })]
    TooSmall(IpNetwork),
    /// `rangeStart` is not in the subnet.
    #[error("rangeStart {start} is not in subnet {subnet}")]
    StartOutside {
        /// The range's start.
        start: IpAddr,
        /// The range's subnet.
        subnet: IpNetwork,
    },
    /// `rangeEnd` is not in the subnet.
    #[error("rangeEnd {end} is not in subnet {subnet}")]
    EndOutside {
        /// The range's end.
        end: IpAddr,
        /// The range's subnet.
        subnet: IpNetwork,
    },
    /// `rangeEnd` comes before `rangeStart`.
    #[error("rangeEnd {end} is before rangeStart {start}")]
    Reversed {
        /// The range's start.
        start: IpAddr,
        /// The range's end.
        end: IpAddr,
    },
    /// The gateway is of the other address family.
    #[error("gateway {gateway} is not of the address family of subnet {subnet}")]
    GatewayFamily {
        /// The range's gateway.
        gateway: IpAddr,
        /// The range's subnet.
        subnet: IpNetwork,
    },
}

/// Consecutive addresses of one subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    subnet: IpNetwork,
    start: IpAddr,
    end: IpAddr,
    gateway: IpAddr,
}

impl Range {
    /// Checks what a configuration says and fills in the defaults.
    pub fn new(spec: RangeSpec) -> Result<Self, RangeError> {
        let (network, prefix) = (spec.subnet.network(), spec.subnet.prefix());
        let bits: u8 = if network.is_ipv4() { 32 } else { 128 };
        // Cannot fail: the prefix comes from a network of the same family.
        let subnet = IpNetwork::new(network, prefix).unwrap_or(spec.subnet);
        if prefix > bits - 2 {
            return Err(RangeError::TooSmall(subnet));
        }

        let hosts = u128::MAX
            .checked_shr(u32::from(128 - bits + prefix))
            .unwrap_or(0);
        let first = nth(network, 1);
        let last = nth(network, if network.is_ipv4() { hosts - 1 } else { hosts });
        let range = Self {
            subnet,
            start: spec.start.unwrap_or(first),
            end: spec.end.unwrap_or(last),
            gateway: spec.gateway.unwrap_or(first),
        };

        let (start, end, gateway) = (range.start, range.end, range.gateway);
        if !subnet.contains(start) {
            Err(RangeError::StartOutside { start, subnet })
        } else if !subnet.contains(end) {
            Err(RangeError::EndOutside { end, subnet })
        } else if end < start {
            Err(RangeError::Reversed { start, end })
        } else if gateway.is_ipv4() != network.is_ipv4() {
            Err(RangeError::GatewayFamily { gateway, subnet })
        } else {
            Ok(range)
        }
    }

    /// The subnet, without host bits.
    pub fn subnet(&self) -> IpNetwork {
        self.subnet
    }

    /// The first address of the range.
    pub fn start(&self) -> IpAddr {
        self.start
    }

    /// The last address of the range.
    pub fn end(&self) -> IpAddr {
        self.end
    }

    /// The subnet's gateway.
    pub fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// Whether an address is between the range's ends.
    pub fn contains(&self, address: IpAddr) -> bool {
        // Addresses of different families would be comparable, too.
        address.is_ipv4() == self.start.is_ipv4() && (self.start..=self.end).contains(&address)
    }

    /// Whether an address is in both ranges.
    pub fn overlaps(&self, other: &Range) -> bool {
        self.contains(other.start) || other.contains(self.start)
    }

    /// The address after this one, unless it is the range's last or none of the range.
    pub(crate) fn after(&self, address: IpAddr) -> Option<IpAddr> {
        (self.contains(address) && address < self.end).then(|| nth(address, 1))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

/// The address that comes `offset` after another one of its family, wrapping round at the end.
#[allow(clippy::cast_possible_truncation)] // an IPv4 offset has 32 bits
fn nth(address: IpAddr, offset: u128) -> IpAddr {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits().wrapping_add(offset as u32)).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits().wrapping_add(offset)).into(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn spec(subnet: &str) -> RangeSpec {
        RangeSpec {
            subnet: subnet.parse().unwrap(),
            start: None,
            end: None,
            gateway: None,
        }
    }

    pub(crate) fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn defaults() {
        for (subnet, range, gateway) in [
            ("10.1.2.0/24", "10.1.2.1-10.1.2.254", "10.1.2.1"),
            ("10.1.2.77/24", "10.1.2.1-10.1.2.254", "10.1.2.1"),
            ("10.0.0.0/8", "10.0.0.1-10.255.255.254", "10.0.0.1"),
            ("0.0.0.0/0", "0.0.0.1-255.255.255.254", "0.0.0.1"),
            ("10.1.2.4/30", "10.1.2.5-10.1.2.6", "10.1.2.5"),
            ("fd00::/64", "fd00::1-fd00::ffff:ffff:ffff:ffff", "fd00::1"),
            ("fd00::/126", "fd00::1-fd00::3", "fd00::1"),
            ("::/0", "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::1"),
        ] {
            let made = Range::new(spec(subnet)).unwrap();
            assert_eq!(
                (made.to_string().as_str(), made.gateway()),
                (range, ip(gateway))
            );
        }
    }

    #[test]
    fn what_makes_no_sense() {
        let subnet = spec("10.1.2.0/24");
        let error = |spec| Range::new(spec).unwrap_err().to_string();
        for (spec, message) in [
            (
                spec("10.1.2.0/31"),
                "subnet 10.1.2.0/31 is too small to allocate from: use a prefix length of 30 or less",
            ),
            (
                spec("fd00::/127"),
                "subnet fd00::/127 is too small to allocate from: use a prefix length of 126 or less",
            ),
            (
                RangeSpec {
                    start: Some(ip("10.1.3.1")),
                    ..subnet
                },
                "rangeStart 10.1.3.1 is not in subnet 10.1.2.0/24",
            ),
            (
                RangeSpec {
                    end: Some(ip("fd00::1")),
                    ..subnet
                },
                "rangeEnd fd00::1 is not in subnet 10.1.2.0/24",
            ),
            (
                RangeSpec {
                    start: Some(ip("10.1.2.9")),
                    end: Some(ip("10.1.2.8")),
                    ..subnet
                },
                "rangeEnd 10.1.2.8 is before rangeStart 10.1.2.9",
            ),
            (
                RangeSpec {
                    gateway: Some(ip("fd00::1")),
                    ..subnet
                },
                "gateway fd00::1 is not of the address family of subnet 10.1.2.0/24",
            ),
        ] {
            assert_eq!(error(spec), message);
        }
    }

    #[test]
    fn the_next_address_stays_inside() {
        let range = Range::new(RangeSpec {
            start: Some(ip("10.1.2.254")),
            end: Some(ip("10.1.2.255")),
            ..spec("10.1.2.0/24")
        })
        .unwrap();
        assert_eq!(range.after(ip("10.1.2.254")), Some(ip("10.1.2.255")));
        assert_eq!(range.after(ip("10.1.2.255")), None);
        assert_eq!(range.after(ip("10.1.2.1")), None);
        assert_eq!(range.after(ip("fd00::1")), None);
        assert!(!range.contains(ip("fd00::1")));
    }
}
