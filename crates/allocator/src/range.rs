//! One range of addresses: what a configuration says, and what is valid.

use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::span::{self, Span};

/// A range as it is configured; everything but the subnet has a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeSpec {
    /// The subnet that the range's addresses belong to; host bits are dropped.
    pub subnet: IpNetwork,
    /// The first address that may be given; by default the subnet's first.
    pub start: Option<IpAddr>,
    /// The last address that may be given; by default the subnet's last, for IPv4 the one before
    /// the broadcast address.
    pub end: Option<IpAddr>,
    /// The subnet's gateway, which is never given; by default the subnet's first address.
    pub gateway: Option<IpAddr>,
}

/// Why a [`RangeSpec`] is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The subnet has no address beside its own, the gateway's and the broadcast address.
    #[error("subnet {0} is too small to allocate from: use a prefix length of {max} or \
        less", max = if .0.is_ipv4() { 30 } else { 126 })]
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
    span: Span,
    gateway: IpAddr,
}

impl Range {
    /// Validates a configured range, and fills in the defaults.
    ///
    /// # Errors
    /// [`RangeError`] if the subnet is too small, or if an address does not fit the subnet.
    pub fn new(spec: RangeSpec) -> Result<Self, RangeError> {
        let (network, prefix) = (spec.subnet.network(), spec.subnet.prefix());
        let bits: u8 = if network.is_ipv4() { 32 } else { 128 };
        // Cannot fail: the prefix comes from a network of the same family.
        let subnet = IpNetwork::new(network, prefix).unwrap_or(spec.subnet);
        if prefix > bits - 2 {
            return Err(RangeError::TooSmall(subnet));
        }

        let whole = Span::from(subnet);
        let first = span::next(whole.start()).unwrap_or(whole.start());
        let last = if network.is_ipv4() {
            span::previous(whole.end()).unwrap_or(whole.end())
        } else {
            whole.end()
        };
        let start = spec.start.unwrap_or(first);
        let end = spec.end.unwrap_or(last);
        let gateway = spec.gateway.unwrap_or(first);

        if !subnet.contains(start) {
            Err(RangeError::StartOutside { start, subnet })
        } else if !subnet.contains(end) {
            Err(RangeError::EndOutside { end, subnet })
        } else if gateway.is_ipv4() != network.is_ipv4() {
            Err(RangeError::GatewayFamily { gateway, subnet })
        } else {
            let span = Span::new(start, end).ok_or(RangeError::Reversed { start, end })?;
            Ok(Self {
                subnet,
                span,
                gateway,
            })
        }
    }

    /// The subnet, without host bits.
    pub fn subnet(&self) -> IpNetwork {
        self.subnet
    }

    /// The range's addresses.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The subnet's gateway.
    pub fn gateway(&self) -> IpAddr {
        self.gateway
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.span.fmt(f)
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
    fn invalid_ranges_are_refused() {
        let subnet = spec("10.1.2.0/24");
        let error = |spec| Range::new(spec).unwrap_err().to_string();
        for (spec, message) in [
            (
                spec("10.1.2.0/31"),
                "subnet 10.1.2.0/31 is too small to allocate from: use a prefix length of 30 or \
                    less",
            ),
            (
                spec("fd00::/127"),
                "subnet fd00::/127 is too small to allocate from: use a prefix length of 126 or \
                    less",
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
}
