use std::fmt;
use std::net::IpAddr;

use crate::{Range, RangeError};

/// Ranges of one address family, without a common address: a pool that gives one address to each attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet(Vec<Range>);

/// Ranges that make no set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeSetError {
    /// There is none.
    #[error("empty range set: give it at least one range with a subnet")]
    Empty,
    /// One of them makes no sense.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Some are IPv4 and some are IPv6.
    #[error("mixed address families: {} and {} need a range set each", .0.0, .0.1)]
    MixedFamilies(Box<(Range, Range)>),
    /// Two of them have common addresses.
    #[error("ranges {} and {} overlap", .0.0, .0.1)]
    Overlap(Box<(Range, Range)>),
}

impl RangeSet {
    /// A set of these ranges, in the order in which they are to be used.
    pub fn new(ranges: Vec<Range>) -> Result<Self, RangeSetError> {
        if ranges.is_empty() {
            return Err(RangeSetError::Empty);
        }
        for (index, range) in ranges.iter().enumerate() {
            for earlier in ranges.iter().take(index) {
                let both = || Box::new((*earlier, *range));
                if earlier.start().is_ipv4() != range.start().is_ipv4() {
                    return Err(RangeSetError::MixedFamilies(both()));
                }
                if earlier.overlaps(range) {
                    return Err(RangeSetError::Overlap(both()));
                }
            }
        }
        Ok(Self(ranges))
    }

    /// The ranges, in the order in which they are used.
    pub fn ranges(&self) -> &[Range] {
        &self.0
    }

    /// Whether the set's addresses are IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.0.iter().any(|range| range.start().is_ipv4())
    }

    /// The range that an address belongs to.
    pub fn range_of(&self, address: IpAddr) -> Option<&Range> {
        self.0.iter().find(|range| range.contains(address))
    }

    fn overlaps(&self, other: &RangeSet) -> bool {
        self.0
            .iter()
            .any(|range| other.0.iter().any(|theirs| range.overlaps(theirs)))
    }

    /// Every address that may be given, each once, in the order in which they come up: round robin through all ranges,
    /// starting after the one given last, so that a released address rests for as long as possible. Gateways are left
    /// out.
    ///
    /// `last` is anything: where it is none of the set's addresses, the search starts at the first.
    pub fn candidates(&self, last: Option<IpAddr>) -> impl Iterator<Item = (IpAddr, &Range)> {
        let resume = last.and_then(|last| {
            let index = self.0.iter().position(|range| range.contains(last))?;
            Some((index, last))
        });
        let (index, last) = match resume {
            Some((index, last)) => (index, Some(last)),
            None => (0, None),
        };
        let (before, from) = self.0.split_at(index.min(self.0.len()));
        let (first, after) = match from.split_first() {
            Some((first, after)) => (Some(first), after),
            None => (None, from),
        };

        // The first range is cut in two at `last`: its end comes first of all, its start last of all.
        let head = first.into_iter().flat_map(move |range| {
            let start = match last {
                None => Some(range.start()),
                Some(last) => range.after(last),
            };
            addresses(range, start, range.end())
        });
        let whole = after
            .iter()
            .chain(before)
            .flat_map(|range| addresses(range, Some(range.start()), range.end()));
        let tail = first
            .zip(last)
            .into_iter()
            .flat_map(|(range, last)| addresses(range, Some(range.start()), last));
        head.chain(whole).chain(tail)
    }
}

/// The addresses of a range from one to another, without the gateway.
fn addresses(
    range: &Range,
    start: Option<IpAddr>,
    end: IpAddr,
) -> impl Iterator<Item = (IpAddr, &Range)> {
    std::iter::successors(start, move |address| {
        if *address == end {
            None
        } else {
            range.after(*address)
        }
    })
    .filter(|address| *address != range.gateway())
    .map(move |address| (address, range))
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{range}")?;
        }
        Ok(())
    }
}

/// The range sets of a network, without a common address. An attachment gets one address of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSets(Vec<RangeSet>);

/// Two range sets with common addresses, by their places in the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("range set {0} overlaps with {1}: {2} and {3}")]
pub struct RangeSetsError(usize, usize, RangeSet, RangeSet);

impl RangeSets {
    /// These range sets, in the order in which they give their addresses.
    pub fn new(sets: Vec<RangeSet>) -> Result<Self, RangeSetsError> {
        for (index, set) in sets.iter().enumerate() {
            for (earlier_index, earlier) in sets.iter().take(index).enumerate() {
                if earlier.overlaps(set) {
                    return Err(RangeSetsError(
                        earlier_index,
                        index,
                        earlier.clone(),
                        set.clone(),
                    ));
                }
            }
        }
        Ok(Self(sets))
    }

    /// The sets, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &RangeSet> {
        self.0.iter()
    }

    /// Whether any set has this address between the ends of one of its ranges.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|set| set.range_of(address).is_some())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::RangeSpec;
    use crate::range::tests::{ip, spec};

    fn range(subnet: &str, start: &str, end: &str) -> Range {
        Range::new(RangeSpec {
            start: Some(ip(start)),
            end: Some(ip(end)),
            ..spec(subnet)
        })
        .unwrap()
    }

    fn order(set: &RangeSet, last: Option<&str>) -> Vec<String> {
        set.candidates(last.map(ip))
            .map(|(address, _)| address.to_string())
            .collect()
    }

    #[test]
    fn round_robin_through_all_ranges() {
        let set = RangeSet::new(vec![
            range("10.1.1.0/24", "10.1.1.1", "10.1.1.3"),
            range("10.1.0.0/24", "10.1.0.254", "10.1.0.255"),
        ])
        .unwrap();
        // 10.1.1.1 is the gateway.
        assert_eq!(
            order(&set, None),
            ["10.1.1.2", "10.1.1.3", "10.1.0.254", "10.1.0.255"]
        );
        assert_eq!(
            order(&set, Some("10.1.1.2")),
            ["10.1.1.3", "10.1.0.254", "10.1.0.255", "10.1.1.2"]
        );
        assert_eq!(
            order(&set, Some("10.1.0.254")),
            ["10.1.0.255", "10.1.1.2", "10.1.1.3", "10.1.0.254"]
        );
        assert_eq!(order(&set, Some("10.1.0.255")), order(&set, None));
        assert_eq!(order(&set, Some("10.9.9.9")), order(&set, None));
        assert_eq!(set.to_string(), "10.1.1.1-10.1.1.3,10.1.0.254-10.1.0.255");
    }

    #[test]
    fn a_search_in_a_large_range_starts_at_once() {
        let set = RangeSet::new(vec![Range::new(spec("fd00::/64")).unwrap()]).unwrap();
        let last = "fd00::1234:5678:9abc:def0";
        let mut candidates = set.candidates(Some(ip(last)));
        assert_eq!(
            candidates.next().map(|(address, _)| address),
            Some(ip("fd00::1234:5678:9abc:def1"))
        );
    }

    #[test]
    fn what_makes_no_set() {
        let a = range("10.1.1.0/24", "10.1.1.1", "10.1.1.9");
        let b = range("10.1.0.0/16", "10.1.1.9", "10.1.1.10");
        let c = Range::new(spec("fd00::/64")).unwrap();
        assert_eq!(RangeSet::new(vec![]), Err(RangeSetError::Empty));
        assert_eq!(
            RangeSet::new(vec![a, b]).unwrap_err().to_string(),
            "ranges 10.1.1.1-10.1.1.9 and 10.1.1.9-10.1.1.10 overlap"
        );
        assert_eq!(
            RangeSet::new(vec![a, c]).unwrap_err().to_string(),
            "mixed address families: 10.1.1.1-10.1.1.9 and fd00::1-fd00::ffff:ffff:ffff:ffff need a range set each"
        );
        let sets = [a, c, b].map(|range| RangeSet::new(vec![range]).unwrap());
        assert_eq!(
            RangeSets::new(sets.to_vec()).unwrap_err().to_string(),
            "range set 0 overlaps with 2: 10.1.1.1-10.1.1.9 and 10.1.1.9-10.1.1.10"
        );
    }

    proptest! {
        #[test]
        fn every_address_comes_up_once_and_no_gateway(
            start in 0u8..=255,
            length in 0u8..=20,
            gateway in 0u8..=255,
            last in 0u8..=255,
        ) {
            let address = |octet: u8| ip(&format!("10.1.1.{octet}"));
            let end = start.saturating_add(length);
            let range = Range::new(RangeSpec {
                start: Some(address(start)),
                end: Some(address(end)),
                gateway: Some(address(gateway)),
                ..spec("10.1.1.0/24")
            }).unwrap();
            let other = Range::new(spec("10.1.2.0/29")).unwrap();
            let set = RangeSet::new(vec![range, other]).unwrap();

            let seen: Vec<IpAddr> = set.candidates(Some(address(last))).map(|(a, _)| a).collect();
            let mut model: Vec<IpAddr> = (start..=end).filter(|o| *o != gateway).map(address).collect();
            model.extend((2..=6).map(|octet| ip(&format!("10.1.2.{octet}"))));
            if (start..=end).contains(&last) {
                let split = model.iter().filter(|a| **a <= address(last)).count();
                model.rotate_left(split);
            }
            prop_assert_eq!(seen, model);
        }
    }
}
