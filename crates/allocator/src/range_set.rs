use std::fmt;
use std::net::IpAddr;

use crate::{Range, RangeError, Span};

/// Ranges of one address family, without a common address: a pool that gives one address to each attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<Range>,
    /// For each range, what of it may be given: all but its gateway and what is excluded.
    givable: Vec<Vec<Span>>,
}

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
    /// All that they have is excluded.
    #[error("exclude leaves no address to give in range set {0}")]
    NothingLeft(String),
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
                if earlier.subnet().is_ipv4() != range.subnet().is_ipv4() {
                    return Err(RangeSetError::MixedFamilies(both()));
                }
                if earlier.span().overlaps(&range.span()) {
                    return Err(RangeSetError::Overlap(both()));
                }
            }
        }
        let givable = ranges
            .iter()
            .map(|range| range.span().without(&range.gateway().into()).collect())
            .collect();
        Ok(Self { ranges, givable })
    }

    /// The same set, but for addresses that are never to be given.
    ///
    /// Errors: [`RangeSetError::NothingLeft`].
    pub fn excluding(mut self, excluded: &[Span]) -> Result<Self, RangeSetError> {
        for spans in &mut self.givable {
            for span in excluded {
                *spans = spans.iter().flat_map(|rest| rest.without(span)).collect();
            }
        }
        if !excluded.is_empty() && self.givable.iter().all(Vec::is_empty) {
            return Err(RangeSetError::NothingLeft(self.to_string()));
        }
        Ok(self)
    }

    /// The ranges, in the order in which they are used.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// Whether the set's addresses are IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.ranges.iter().any(|range| range.subnet().is_ipv4())
    }

    /// The range that an address belongs to, whether it may be given or not.
    pub fn range_of(&self, address: IpAddr) -> Option<&Range> {
        self.ranges
            .iter()
            .find(|range| range.span().contains(address))
    }

    /// Whether an address may be given: it is in one of the ranges, and neither a gateway nor excluded.
    pub fn gives(&self, address: IpAddr) -> bool {
        self.givable
            .iter()
            .flatten()
            .any(|span| span.contains(address))
    }

    /// How many addresses may be given.
    pub fn size(&self) -> u128 {
        let sizes = self.givable.iter().flatten().map(Span::size);
        sizes.fold(0, u128::saturating_add)
    }

    fn overlaps(&self, other: &RangeSet) -> bool {
        self.ranges.iter().any(|range| {
            other
                .ranges
                .iter()
                .any(|theirs| range.span().overlaps(&theirs.span()))
        })
    }

    /// Every address that may be given, each once, in the order in which they come up: round robin through all ranges,
    /// starting after the one given last, so that a released address rests for as long as possible.
    ///
    /// `last` is anything: where it is none of the set's addresses, the search starts at the first.
    pub fn candidates(&self, last: Option<IpAddr>) -> impl Iterator<Item = (IpAddr, &Range)> {
        let mut upcoming: Vec<(&Range, Span)> = Vec::new();
        let mut passed: Vec<(&Range, Span)> = Vec::new();
        let current = last.and_then(|last| {
            self.ranges
                .iter()
                .position(|range| range.span().contains(last))
        });
        for (index, (range, spans)) in self.ranges.iter().zip(&self.givable).enumerate() {
            for span in spans {
                let (before, after) = match (current, last) {
                    (Some(current), Some(last)) if index == current => span.split_after(last),
                    (Some(current), _) if index < current => (Some(*span), None),
                    _ => (None, Some(*span)),
                };
                passed.extend(before.map(|span| (range, span)));
                upcoming.extend(after.map(|span| (range, span)));
            }
        }
        upcoming
            .into_iter()
            .chain(passed)
            .flat_map(|(range, span)| span.addresses().map(move |address| (address, range)))
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{range}")?;
        }
        Ok(())
    }
}

/// The range sets of a network, without a common address. An attachment gets one address of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSets(Vec<RangeSet>);

/// Range sets that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeSetsError {
    /// Two have common addresses.
    #[error("range set {first} overlaps with {second}: {} and {}", sets.0, sets.1)]
    Overlap {
        /// The place of one of them in the list.
        first: usize,
        /// The place of the other.
        second: usize,
        /// The two sets.
        sets: Box<(RangeSet, RangeSet)>,
    },
    /// There are more than [`RangeSets::MAX`].
    #[error("there are {0} range sets, but an attachment can have {max} addresses at most", max = RangeSets::MAX)]
    TooMany(usize),
}

impl RangeSets {
    /// How many sets there can be.
    pub const MAX: usize = 128;

    /// These range sets, in the order in which they give their addresses.
    pub fn new(sets: Vec<RangeSet>) -> Result<Self, RangeSetsError> {
        if sets.len() > Self::MAX {
            return Err(RangeSetsError::TooMany(sets.len()));
        }
        for (second, set) in sets.iter().enumerate() {
            for (first, earlier) in sets.iter().take(second).enumerate() {
                if earlier.overlaps(set) {
                    return Err(RangeSetsError::Overlap {
                        first,
                        second,
                        sets: Box::new((earlier.clone(), set.clone())),
                    });
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

    #[test]
    fn what_is_excluded_never_comes_up() {
        let set = RangeSet::new(vec![range("10.1.1.0/24", "10.1.1.1", "10.1.1.9")]).unwrap();
        let excluded = [
            Span::from(ip("10.1.1.2")),
            Span::new(ip("10.1.1.4"), ip("10.1.1.6")).unwrap(),
            Span::from("fd00::/8".parse::<ipnetwork::IpNetwork>().unwrap()),
        ];
        let rest = set.clone().excluding(&excluded).unwrap();
        assert_eq!(
            order(&rest, Some("10.1.1.5")),
            ["10.1.1.7", "10.1.1.8", "10.1.1.9", "10.1.1.3"]
        );
        assert_eq!(rest.size(), 4);
        assert!(rest.gives(ip("10.1.1.3")) && !rest.gives(ip("10.1.1.5")));
        assert!(!rest.gives(ip("10.1.1.1")), "the gateway");
        let all: Span = "10.1.0.0/16"
            .parse::<ipnetwork::IpNetwork>()
            .unwrap()
            .into();
        assert_eq!(
            set.excluding(&[all]).unwrap_err().to_string(),
            "exclude leaves no address to give in range set 10.1.1.1-10.1.1.9"
        );
    }

    #[test]
    fn most_of_a_large_range_can_be_excluded() {
        let set = RangeSet::new(vec![Range::new(spec("fd00::/64")).unwrap()]).unwrap();
        let half: Span = "fd00::/65".parse::<ipnetwork::IpNetwork>().unwrap().into();
        let rest = set.excluding(&[half]).unwrap();
        let first = rest.candidates(None).next().map(|(address, _)| address);
        assert_eq!(first, Some(ip("fd00::8000:0:0:0")));
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
