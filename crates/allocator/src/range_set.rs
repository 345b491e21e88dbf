//! Range sets, and the order in which their addresses are tried.

use std::fmt;
use std::net::IpAddr;

use crate::first::First;
use crate::span::{Disjoint, Spans};
use crate::{Range, RangeError, Span};

/// A pool of which each attachment gets one address: ranges of one family that do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Box<[Range]>,
    /// For each range, the spans that may be given, in order: without its gateway and what is
    /// excluded.
    givable: Box<[Vec<Span>]>,
    /// The indexes of the ranges, in the order of their addresses.
    order: Box<[usize]>,
}

/// Why ranges do not make a range set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeSetError {
    /// There is no range.
    #[error("empty range set: give it at least one range with a subnet")]
    Empty,
    /// A range is invalid.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// Some ranges are IPv4, others IPv6.
    #[error("mixed address families: {} and {} need a range set each", .0.0, .0.1)]
    MixedFamilies(Box<(Range, Range)>),
    /// Two ranges have common addresses.
    #[error("ranges {} and {} overlap", .0.0, .0.1)]
    Overlap(Box<(Range, Range)>),
}

impl RangeSet {
    /// A set of these ranges, which are used in this order.
    ///
    /// # Errors
    /// [`RangeSetError`] if there is no range, or if two ranges overlap or are of two families.
    pub fn new(ranges: Vec<Range>) -> Result<Self, RangeSetError> {
        if ranges.is_empty() {
            return Err(RangeSetError::Empty);
        }
        let mut spans = Disjoint::default();
        let mut families = ranges.iter().map(|range| range.subnet().is_ipv4());
        let is_ipv4 = families.next();
        for (index, range) in ranges.iter().enumerate() {
            if Some(range.subnet().is_ipv4()) != is_ipv4 || !spans.insert(range.span()) {
                return Err(clash(ranges.iter().take(index), range));
            }
        }
        let mut order: Box<[usize]> = (0..ranges.len()).collect();
        order.sort_unstable_by_key(|index| ranges.get(*index).map(|range| range.span().start()));
        let givable = ranges
            .iter()
            .map(|range| range.span().without(&range.gateway().into()).collect())
            .collect();
        Ok(Self {
            ranges: ranges.into(),
            givable,
            order,
        })
    }

    /// The same set without the addresses that are never given. There may be none left.
    pub fn excluding(mut self, excluded: &Spans) -> Self {
        for spans in &mut self.givable {
            *spans = spans
                .iter()
                .flat_map(|span| excluded.carve(*span))
                .collect();
        }
        self
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
        self.index_of(address)
            .and_then(|index| self.ranges.get(index))
    }

    /// Whether an address may be given: it is in one of the ranges, and neither a gateway nor
    /// excluded.
    pub fn gives(&self, address: IpAddr) -> bool {
        let spans = self
            .index_of(address)
            .and_then(|index| self.givable.get(index));
        spans.is_some_and(|spans| {
            let after = spans.partition_point(|span| span.start() <= address);
            let span = after.checked_sub(1).and_then(|index| spans.get(index));
            span.is_some_and(|span| span.contains(address))
        })
    }

    fn index_of(&self, address: IpAddr) -> Option<usize> {
        let (index, range) = self.last_from(address)?;
        range.span().contains(address).then_some(index)
    }

    /// Of the ranges that start at this address or before it, the one that starts last, and its
    /// index.
    fn last_from(&self, address: IpAddr) -> Option<(usize, &Range)> {
        let starts = |index: &usize| {
            let range = self.ranges.get(*index);
            range.is_some_and(|range| range.span().start() <= address)
        };
        let after = self.order.partition_point(starts);
        let index = *self.order.get(after.checked_sub(1)?)?;
        Some((index, self.ranges.get(index)?))
    }

    /// The number of addresses that may be given.
    pub fn size(&self) -> u128 {
        let sizes = self.givable.iter().flatten().map(Span::size);
        sizes.fold(0, u128::saturating_add)
    }

    /// Whether the set contains nothing but its gateways.
    pub fn is_gateways_only(&self) -> bool {
        let mut ranges = self.ranges.iter();
        ranges.all(|range| range.span() == range.gateway().into())
    }

    fn overlaps(&self, other: &RangeSet) -> bool {
        self.ranges.iter().any(|range| {
            let before = other.last_from(range.span().end());
            before.is_some_and(|(_, theirs)| theirs.span().overlaps(&range.span()))
        })
    }

    /// Every address that may be given, in the order in which they are tried: round robin through
    /// all ranges, from the address after `last`, the one that was given last. So a released
    /// address is given again as late as possible.
    ///
    /// If `last` is `None` or not in the set, the order starts at the set's first address.
    pub fn candidates(&self, last: Option<IpAddr>) -> impl Iterator<Item = (IpAddr, &Range)> {
        let mut upcoming: Vec<(&Range, Span)> = Vec::new();
        let mut passed: Vec<(&Range, Span)> = Vec::new();
        let current = last.and_then(|last| self.index_of(last));
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

/// Why a range cannot be in a set with the ranges before it.
fn clash<'a>(before: impl Iterator<Item = &'a Range>, range: &Range) -> RangeSetError {
    for earlier in before {
        let both = || Box::new((*earlier, *range));
        if earlier.subnet().is_ipv4() != range.subnet().is_ipv4() {
            return RangeSetError::MixedFamilies(both());
        }
        if earlier.span().overlaps(&range.span()) {
            return RangeSetError::Overlap(both());
        }
    }
    RangeSetError::Empty
}

impl fmt::Display for RangeSet {
    /// All ranges, or the first few of many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        First(&self.ranges, ",").fmt(f)
    }
}

/// The range sets of a network, which do not overlap. An attachment gets one address of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSets(Vec<RangeSet>);

/// Why range sets cannot be those of one network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeSetsError {
    /// Two sets have common addresses.
    #[error("range set {first} overlaps with {second}: {} and {}", sets.0, sets.1)]
    Overlap {
        /// The index of one of them in the list.
        first: usize,
        /// The index of the other.
        second: usize,
        /// The two sets.
        sets: Box<(RangeSet, RangeSet)>,
    },
    /// There are more than [`RangeSets::MAX`].
    #[error("there are {0} range sets, but an attachment can have {max} addresses at \
        most", max = RangeSets::MAX)]
    TooMany(usize),
}

impl RangeSets {
    /// The largest number of sets.
    pub const MAX: usize = 128;

    /// These range sets, in the order of an attachment's addresses.
    ///
    /// # Errors
    /// [`RangeSetsError`] if two sets overlap, or if there are more than [`RangeSets::MAX`].
    pub fn new(sets: Vec<RangeSet>) -> Result<Self, RangeSetsError> {
        if sets.len() > Self::MAX {
            return Err(RangeSetsError::TooMany(sets.len()));
        }
        let mut spans = Disjoint::default();
        for (second, set) in sets.iter().enumerate() {
            if set.ranges.iter().all(|range| spans.insert(range.span())) {
                continue;
            }
            let mut before = sets.iter().take(second).enumerate();
            if let Some((first, earlier)) = before.find(|(_, earlier)| earlier.overlaps(set)) {
                return Err(RangeSetsError::Overlap {
                    first,
                    second,
                    sets: Box::new((earlier.clone(), set.clone())),
                });
            }
        }
        Ok(Self(sets))
    }

    /// The sets, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &RangeSet> {
        self.0.iter()
    }

    /// Whether the address is in a range of any set, even if it may not be given.
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
    fn ranges_that_overlap_or_mix_families_are_refused() {
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
            "mixed address families: 10.1.1.1-10.1.1.9 and fd00::1-fd00::ffff:ffff:ffff:ffff need \
                a range set each"
        );
        let sets = [a, c, b].map(|range| RangeSet::new(vec![range]).unwrap());
        assert_eq!(
            RangeSets::new(sets.to_vec()).unwrap_err().to_string(),
            "range set 0 overlaps with 2: 10.1.1.1-10.1.1.9 and 10.1.1.9-10.1.1.10"
        );
    }

    #[test]
    fn an_excluded_address_is_no_candidate() {
        let set = RangeSet::new(vec![range("10.1.1.0/24", "10.1.1.1", "10.1.1.9")]).unwrap();
        let excluded = [
            Span::from(ip("10.1.1.2")),
            Span::new(ip("10.1.1.4"), ip("10.1.1.6")).unwrap(),
            Span::from("fd00::/8".parse::<ipnetwork::IpNetwork>().unwrap()),
        ];
        let rest = set.clone().excluding(&Spans::new(excluded.to_vec()));
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
        let none = set.excluding(&Spans::new(vec![all]));
        assert_eq!((none.size(), none.is_gateways_only()), (0, false));
    }

    /// Nothing takes longer than n log n. With n², each step would take minutes.
    #[test]
    fn many_ranges_and_exclusions() {
        let address = |bits: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(bits));
        let made = |bits: u32| {
            let spec = RangeSpec {
                start: Some(address(bits)),
                end: Some(address(bits + 8)),
                gateway: Some(ip("10.255.255.254")),
                ..spec("10.0.0.0/8")
            };
            Range::new(spec).unwrap()
        };
        let starts: Vec<u32> = (0..40_000)
            .map(|number| 0x0a00_0000 + 16 * number)
            .collect();
        let excluded = starts.iter().map(|start| Span::from(address(start + 4)));
        let excluded = Spans::new(excluded.collect());
        let set = RangeSet::new(starts.iter().map(|start| made(*start)).collect()).unwrap();
        let set = set.excluding(&excluded);
        assert_eq!(set.size(), 40_000 * 8);
        for start in &starts {
            assert!(set.gives(address(start + 3)) && !set.gives(address(start + 4)));
            assert!(set.range_of(address(start + 4)).is_some());
            assert!(set.range_of(address(start + 9)).is_none());
        }
        let first = "10.0.0.0-10.0.0.8,10.0.0.16-10.0.0.24";
        let text = set.to_string();
        assert!(
            text.starts_with(first) && text.ends_with(",… (40000 in all)"),
            "{text}"
        );
        assert!(text.len() < 300, "{text}");
        let sets = RangeSets::new(vec![
            set.clone(),
            RangeSet::new(vec![made(0x0b00_0000 - 9)]).unwrap(),
        ]);
        assert!(sets.is_ok());
        let overlap = RangeSets::new(vec![
            set,
            RangeSet::new(vec![made(starts[39_999] + 8)]).unwrap(),
        ]);
        assert!(matches!(
            overlap,
            Err(RangeSetsError::Overlap {
                first: 0,
                second: 1,
                ..
            })
        ));
    }

    #[test]
    fn most_of_a_large_range_can_be_excluded() {
        let set = RangeSet::new(vec![Range::new(spec("fd00::/64")).unwrap()]).unwrap();
        let half: Span = "fd00::/65".parse::<ipnetwork::IpNetwork>().unwrap().into();
        let rest = set.excluding(&Spans::new(vec![half]));
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
            let octets = (start..=end).filter(|octet| *octet != gateway);
            let mut model: Vec<IpAddr> = octets.map(address).collect();
            model.extend((2..=6).map(|octet| ip(&format!("10.1.2.{octet}"))));
            if (start..=end).contains(&last) {
                let split = model.iter().filter(|a| **a <= address(last)).count();
                model.rotate_left(split);
            }
            prop_assert_eq!(seen, model);
        }
    }
}
