//! Spans of consecutive addresses, and sets of them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

/// Consecutive addresses of one family; both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: IpAddr,
    end: IpAddr,
}

impl Span {
    /// The addresses from `start` to `end`; `None` if they are of two families, or the end comes
    /// before the start.
    pub fn new(start: IpAddr, end: IpAddr) -> Option<Self> {
        (start.is_ipv4() == end.is_ipv4() && start <= end).then_some(Self { start, end })
    }

    /// The first address.
    pub fn start(&self) -> IpAddr {
        self.start
    }

    /// The last address.
    pub fn end(&self) -> IpAddr {
        self.end
    }

    /// The number of addresses; one too few for all of IPv6.
    pub fn size(&self) -> u128 {
        let bits = |address| match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        (bits(self.end) - bits(self.start)).saturating_add(1)
    }

    /// Whether an address is in the span.
    pub fn contains(&self, address: IpAddr) -> bool {
        // Addresses of different families would be comparable, too.
        address.is_ipv4() == self.start.is_ipv4() && (self.start..=self.end).contains(&address)
    }

    /// Whether an address is in both spans.
    pub fn overlaps(&self, other: &Span) -> bool {
        self.contains(other.start) || other.contains(self.start)
    }

    /// This span without the addresses of another one: nothing, one span or two.
    pub(crate) fn without(self, other: &Span) -> impl Iterator<Item = Span> {
        let overlap = self.overlaps(other);
        let before = previous(other.start).and_then(|end| Span::new(self.start, end));
        let after = next(other.end).and_then(|start| Span::new(start, self.end));
        let whole = (!overlap).then_some(self);
        let parts = [before, after].into_iter().flatten();
        whole.into_iter().chain(parts.filter(move |_| overlap))
    }

    /// The part up to an address, and the part after it.
    pub(crate) fn split_after(self, address: IpAddr) -> (Option<Span>, Option<Span>) {
        if self.end <= address {
            (Some(self), None)
        } else if address < self.start {
            (None, Some(self))
        } else {
            let after = next(address).and_then(|start| Span::new(start, self.end));
            (Span::new(self.start, address), after)
        }
    }

    /// The addresses, in order.
    pub(crate) fn addresses(self) -> impl Iterator<Item = IpAddr> {
        std::iter::successors(Some(self.start), move |address| {
            if *address == self.end {
                None
            } else {
                next(*address)
            }
        })
    }
}

/// Spans of both families, in order and without overlaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// Merges spans, which may overlap and be in any order.
    pub fn new(mut spans: Vec<Span>) -> Self {
        spans.sort_unstable_by_key(|span| span.start);
        let mut merged: Vec<Span> = Vec::new();
        for span in spans {
            match merged.last_mut() {
                Some(last) if last.overlaps(&span) => last.end = last.end.max(span.end),
                _ => merged.push(span),
            }
        }
        Self(merged)
    }

    /// The parts of a span that are in none of these, in order.
    pub(crate) fn carve(&self, span: Span) -> Vec<Span> {
        let first = self.0.partition_point(|other| other.end < span.start);
        let mut left = Vec::new();
        let mut rest = Some(span);
        for other in self.0.iter().skip(first) {
            let Some(now) = rest.filter(|now| now.overlaps(other)) else {
                break;
            };
            left.extend(previous(other.start).and_then(|end| Span::new(now.start, end)));
            rest = next(other.end).and_then(|start| Span::new(start, now.end));
        }
        left.extend(rest);
        left
    }
}

/// Spans without overlaps, which are inserted one by one.
#[derive(Debug, Default)]
pub(crate) struct Disjoint(BTreeMap<IpAddr, IpAddr>);

impl Disjoint {
    /// Inserts a span. Returns false if it overlaps another one.
    pub(crate) fn insert(&mut self, span: Span) -> bool {
        let before = self.0.range(..=span.end).next_back();
        // An address of IPv4 is less than any of IPv6.
        if before.is_some_and(|(_, end)| *end >= span.start) {
            return false;
        }
        self.0.insert(span.start, span.end);
        true
    }
}

impl From<IpNetwork> for Span {
    /// All addresses of a network, its own and the broadcast address too.
    fn from(network: IpNetwork) -> Self {
        Self {
            start: network.network(),
            end: network.broadcast(),
        }
    }
}

impl From<IpAddr> for Span {
    fn from(address: IpAddr) -> Self {
        Self {
            start: address,
            end: address,
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

/// The address after this one, unless it is its family's last.
pub(crate) fn next(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits().checked_add(1)?).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits().checked_add(1)?).into(),
    })
}

/// The address before this one, unless it is its family's first.
pub(crate) fn previous(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits().checked_sub(1)?).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits().checked_sub(1)?).into(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(start: u8, end: u8) -> Option<Span> {
        let address = |octet| IpAddr::from([10, 0, 0, octet]);
        Span::new(address(start), address(end))
    }

    fn octets(spans: impl IntoIterator<Item = Span>) -> Vec<u8> {
        let addresses = spans.into_iter().flat_map(Span::addresses);
        addresses
            .map(|address| match address {
                IpAddr::V4(v4) => v4.octets()[3],
                IpAddr::V6(v6) => v6.octets()[15],
            })
            .collect()
    }

    #[test]
    fn the_ends_of_a_family() {
        let all = Span::from("0.0.0.0/0".parse::<IpNetwork>().unwrap());
        assert_eq!(all.without(&all).count(), 0);
        let first = Span::from(IpAddr::from([0, 0, 0, 0]));
        let rest: Vec<Span> = all.without(&first).collect();
        assert_eq!(rest, [Span::new([0, 0, 0, 1].into(), all.end()).unwrap()]);
        assert_eq!(Span::from(all.end()).addresses().count(), 1);
        let v6 = Span::from("::/0".parse::<IpNetwork>().unwrap());
        assert_eq!(v6.without(&all).collect::<Vec<_>>(), [v6]);
        assert_eq!(Span::new(all.end(), v6.end()), None);
    }

    proptest! {
        #[test]
        fn many_are_carved_out_like_one_after_the_other(
            whole in (0u8..=40, 0u8..=40),
            others in proptest::collection::vec((0u8..=40, 0u8..=4), 0..8),
        ) {
            let Some(whole) = span(whole.0, whole.1) else {
                return Ok(());
            };
            let others: Vec<Span> = others
                .into_iter()
                .filter_map(|(start, more)| span(start, start + more))
                .collect();
            let mut expected = octets([whole]);
            expected.retain(|octet| !others.iter().any(|o| o.contains([10, 0, 0, *octet].into())));
            prop_assert_eq!(octets(Spans::new(others.clone()).carve(whole)), expected);

            let mut disjoint = Disjoint::default();
            let mut kept: Vec<Span> = Vec::new();
            for other in others {
                let fits = !kept.iter().any(|earlier| earlier.overlaps(&other));
                prop_assert_eq!(disjoint.insert(other), fits);
                kept.extend(fits.then_some(other));
            }
        }

        #[test]
        fn arithmetic_is_that_of_sets(
            [a, b, c, d, at] in [0u8..30, 0u8..30, 0u8..30, 0u8..30, 0u8..30],
        ) {
            if let (Some(left), Some(right)) = (span(a, b), span(c, d)) {
                prop_assert_eq!(left.size(), u128::from(b - a) + 1);
                let rest: Vec<u8> = (a..=b).filter(|octet| !(c..=d).contains(octet)).collect();
                prop_assert_eq!(octets(left.without(&right)), rest);
                let (head, tail) = left.split_after(IpAddr::from([10, 0, 0, at]));
                let (below, above) = (a..=b).partition::<Vec<u8>, _>(|octet| *octet <= at);
                prop_assert_eq!(octets(head), below);
                prop_assert_eq!(octets(tail), above);
            }
        }
    }
}
