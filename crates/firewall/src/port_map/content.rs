//! All elements of a table of port maps: as the kernel has them, and as they should be.
//!
//! Each fact is stored twice: in a record (map `owners` or `waiting`) and in the elements that the
//! rules look up. Either is rebuilt from the other.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;

use crate::FirewallError;
use crate::edit::Edit;
use crate::element::{Element, ListedElement};
use crate::kernel::Kernel;
use crate::owner::{RecordKey, comment, words_of};
use crate::port_map::Snat;
use crate::port_map::claim::{Claim, Entry, Target};
use crate::record::record_element;
use crate::table::{Set, SetKind, Table};

/// The elements of a table, each with its data (empty for a plain set) and its comment.
pub(crate) type Elements = BTreeMap<Element, (Vec<u8>, String)>;

/// The port maps of all attachments in a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holders(BTreeMap<RecordKey, Holder>);

/// The port map of one attachment: SNAT and claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The comment of its records.
    pub(crate) words: String,
    pub(crate) target: Target,
    /// The mappings by their places, from 1 on.
    pub(crate) claims: BTreeMap<usize, Claim>,
}

impl Kernel {
    /// All elements of some sets of a table that belong to attachments.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn elements_of_sets(
        &mut self,
        sets: &BTreeSet<Set>,
    ) -> Result<Elements, FirewallError> {
        let mut all = Elements::new();
        for set in sets.iter().copied().filter(Set::has_content) {
            for listed in self.elements_in(set)? {
                let ListedElement { key, data, comment } = listed;
                all.insert(Element { set, key }, (data, comment));
            }
        }
        Ok(all)
    }
}

impl Holders {
    /// One attachment alone.
    pub(crate) fn alone(first: RecordKey, holder: Holder) -> Self {
        Self([(first, holder)].into())
    }

    /// Reads the port maps from the elements of a table.
    pub(crate) fn of(table: Table, elements: &Elements) -> Self {
        let mut targets = BTreeMap::new();
        let mut claims: BTreeMap<RecordKey, (Claim, &str)> = BTreeMap::new();
        for (element, (data, words)) in elements {
            if !is_record(element) {
                continue;
            }
            let Some(key) = RecordKey::of_bytes(&element.key) else {
                continue;
            };
            match Entry::of_data(table, data) {
                Some(Entry::Target(target)) => drop(targets.insert(key, (target, words.as_str()))),
                Some(Entry::Claim(claim)) => drop(claims.insert(key, (claim, words))),
                None => {}
            }
        }
        // Rebuild lost records from their elements. A claim with an element is in effect, so it
        // outranks those that wait for the same port.
        let mut ranks: BTreeMap<Element, u16> = BTreeMap::new();
        for (claim, _) in claims.values() {
            let rank = ranks.entry(claim.element(table).0).or_default();
            *rank = claim.rank.max(*rank);
        }
        for (element, (data, comment)) in elements {
            let lost = RecordKey::of_comment(comment).filter(|key| !claims.contains_key(key));
            if let (Some(key), Some(mut claim)) = (lost, Claim::of_element(element, data)) {
                claim.rank = rank_above(ranks.get(element).copied());
                claims.insert(key, (claim, words_of(comment)));
            }
        }
        let mut holders: BTreeMap<RecordKey, Holder> = BTreeMap::new();
        for (key, (claim, words)) in claims {
            let Some(place) = key.place().filter(|place| *place > 0) else {
                continue;
            };
            let first = key.with_place(0);
            let holder = holders.entry(first).or_insert_with(|| {
                let found = targets.get(&first);
                let (target, words) = found
                    .copied()
                    .unwrap_or_else(|| (lost_target(first, &claim, elements), words));
                Holder {
                    words: words.to_owned(),
                    target,
                    claims: BTreeMap::new(),
                }
            });
            holder.claims.insert(place, claim);
        }
        for (first, (target, words)) in targets {
            holders.entry(first).or_insert_with(|| Holder {
                words: words.to_owned(),
                target,
                claims: BTreeMap::new(),
            });
        }
        for holder in holders.values_mut() {
            let last = holder
                .claims
                .keys()
                .next_back()
                .copied()
                .unwrap_or_default();
            holder.target.count = holder.target.count.max(last);
        }
        Self(holders)
    }

    /// Removes all attachments but those for whose first record's key `stays` returns true.
    pub(crate) fn retain(&mut self, stays: impl Fn(&RecordKey) -> bool) {
        self.0.retain(|key, _| stays(key));
    }

    /// The claims of the attachments that [`Holders::retain`] would remove.
    pub(crate) fn claims_unless(
        &self,
        stays: impl Fn(&RecordKey) -> bool,
    ) -> impl Iterator<Item = &Claim> {
        let gone = self.0.iter().filter(move |(key, _)| !stays(key));
        gone.flat_map(|(_, holder)| holder.claims.values())
    }

    /// The port map of one attachment, by the key of its first record.
    pub(crate) fn get(&self, first: &RecordKey) -> Option<&Holder> {
        self.0.get(first)
    }

    /// Replaces the attachment's port map. Its claims outrank all others of the same ports; an
    /// attachment with the same container address is stale and removed.
    pub(crate) fn give(&mut self, table: Table, first: RecordKey, mut holder: Holder) {
        let address = holder.target.address.ip();
        self.0
            .retain(|key, other| *key != first && other.target.address.ip() != address);
        for claim in holder.claims.values_mut() {
            let (element, _) = claim.element(table);
            let others = self.0.values().flat_map(|other| other.claims.values());
            let same = others.filter(|other| other.element(table).0 == element);
            claim.rank = rank_above(same.map(|other| other.rank).max());
        }
        self.0.insert(first, holder);
    }

    /// The elements of these port maps.
    pub(crate) fn elements(&self, table: Table) -> Elements {
        let mut elements = Elements::new();
        let mut winners: BTreeMap<Element, (u16, RecordKey)> = BTreeMap::new();
        for (key, claim) in self.claims() {
            let (element, _) = claim.element(table);
            let best = winners.entry(element).or_insert((claim.rank, key));
            *best = (*best).max((claim.rank, key));
        }
        for (first, holder) in &self.0 {
            let words = &holder.words;
            let record = record_element(table, *first);
            let target = Entry::Target(holder.target).data();
            elements.insert(record, (target, words.clone()));
            for element in holder.target.elements(table) {
                elements.insert(element, (Vec::new(), comment(*first, words)));
            }
            for (place, claim) in &holder.claims {
                let key = first.with_place(*place);
                let (element, data) = claim.element(table);
                let mut record = record_element(table, key);
                if winners
                    .get(&element)
                    .is_some_and(|(_, winner)| *winner == key)
                {
                    elements.insert(element, (data, comment(key, words)));
                } else {
                    record.set = table.set(SetKind::Waiting);
                }
                let claim = Entry::Claim(*claim).data();
                elements.insert(record, (claim, words.clone()));
            }
        }
        elements
    }

    fn claims(&self) -> impl Iterator<Item = (RecordKey, &Claim)> {
        self.0.iter().flat_map(|(first, holder)| {
            let claims = holder.claims.iter();
            claims.map(|(place, claim)| (first.with_place(*place), claim))
        })
    }
}

/// Ranks fit into a record with four digits.
const HIGHEST_RANK: u16 = 9999;

/// The rank of a claim that is in effect, by the highest of the others of its port.
fn rank_above(others: Option<u16>) -> u16 {
    others.map_or(0, |highest| (highest + 1).min(HIGHEST_RANK))
}

/// The target of an attachment whose first record is lost: SNAT follows from its elements.
fn lost_target(first: RecordKey, claim: &Claim, elements: &Elements) -> Target {
    let mut target = Target {
        address: IpNetwork::from(claim.target),
        snat: Snat::Off,
        count: 0,
    };
    for (element, (_, comment)) in elements {
        if RecordKey::of_comment(comment) != Some(first) {
            continue;
        }
        match element.set.kind {
            SetKind::ToAll => target.snat = Snat::All,
            SetKind::ToNetwork(network) => {
                target.snat = Snat::WhereNeeded;
                if let Ok(address) = IpNetwork::new(claim.target, network.prefix()) {
                    target.address = address;
                }
            }
            SetKind::Hairpins if target.snat == Snat::Off => target.snat = Snat::WhereNeeded,
            _ => {}
        }
    }
    target
}

fn is_record(element: &Element) -> bool {
    matches!(element.set.kind, SetKind::Owners | SetKind::Waiting)
}

/// The edits that turn the present elements into the wanted ones, the removals first. Elements of
/// other programs stay unless they conflict.
pub(crate) fn difference(table: Table, present: &Elements, wanted: &Elements) -> Vec<Edit> {
    let is_ours = |element: &Element, (data, comment): &(Vec<u8>, String)| {
        if is_record(element) {
            RecordKey::of_bytes(&element.key).is_some() && Entry::of_data(table, data).is_some()
        } else {
            RecordKey::of_comment(comment).is_some()
        }
    };
    let mut edits = Vec::new();
    for (element, value) in present {
        let is_stale = match wanted.get(element) {
            Some(wanted) => wanted != value,
            None => is_ours(element, value),
        };
        if is_stale {
            edits.push(element.delete());
        }
    }
    for (element, value) in wanted {
        if present.get(element) != Some(value) {
            edits.push(addition(element, value));
        }
    }
    edits
}

/// Adds an element.
pub(crate) fn addition(element: &Element, (data, comment): &(Vec<u8>, String)) -> Edit {
    let data = Some(data.as_slice()).filter(|data| !data.is_empty());
    element.add(data, comment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port_map::{PortMapping, Transport};

    const TABLE: Table = Table::PortMap4;

    fn first(id: &str) -> RecordKey {
        RecordKey::new("cbr0", id, "eth0").with_place(0)
    }

    fn holder(id: &str, address: &str, ports: &[u16]) -> Holder {
        let address: IpNetwork = address.parse().unwrap();
        let claim = |port: &u16| Claim {
            mapping: PortMapping {
                protocol: Transport::Tcp,
                host_ip: None,
                host_port: *port,
                container_port: 80,
            },
            target: address.ip(),
            token: None,
            rank: 0,
        };
        Holder {
            words: format!("eth0 of {id} in cbr0"),
            target: Target {
                address,
                snat: Snat::WhereNeeded,
                count: ports.len(),
            },
            claims: (1..).zip(ports.iter().map(claim)).collect(),
        }
    }

    /// The containers of host ports, by port.
    fn winners(elements: &Elements) -> Vec<String> {
        let mut winners: Vec<_> = elements
            .iter()
            .filter_map(|(element, (data, comment))| {
                let claim = Claim::of_element(element, data)?;
                let id = words_of(comment).split(' ').nth(2)?;
                Some(format!("{} {id}", claim.mapping.host_port))
            })
            .collect();
        winners.sort();
        winners
    }

    #[test]
    fn the_last_one_has_a_port_and_the_displaced_one_gets_it_back() {
        let mut holders = Holders::default();
        holders.give(TABLE, first("a"), holder("a", "10.1.0.2/24", &[80, 81]));
        holders.give(TABLE, first("b"), holder("b", "10.1.0.3/24", &[81, 82]));
        holders.give(TABLE, first("c"), holder("c", "10.1.0.4/24", &[81]));
        assert_eq!(winners(&holders.elements(TABLE)), ["80 a", "81 c", "82 b"]);
        // An ADD repeated changes nothing.
        let before = holders.elements(TABLE);
        holders.give(TABLE, first("c"), holder("c", "10.1.0.4/24", &[81]));
        assert_eq!(holders.elements(TABLE), before);
        for (gone, expected) in [
            ("a", &["81 c", "82 b"][..]),
            ("c", &["81 b", "82 b"]),
            ("b", &[]),
        ] {
            holders.retain(|key| *key != first(gone));
            assert_eq!(
                winners(&holders.elements(TABLE)),
                expected,
                "without {gone}"
            );
        }
    }

    #[test]
    fn who_has_a_containers_address_now_takes_all_that_it_had() {
        let mut holders = Holders::default();
        holders.give(TABLE, first("a"), holder("a", "10.1.0.2/24", &[80]));
        holders.give(TABLE, first("b"), holder("b", "10.1.0.2/24", &[81]));
        assert_eq!(winners(&holders.elements(TABLE)), ["81 b"]);
    }

    // Any flushed set can be rebuilt from the others.
    #[test]
    fn records_and_elements_are_rebuilt_from_each_other() {
        let mut holders = Holders::default();
        holders.give(TABLE, first("a"), holder("a", "10.1.0.2/24", &[80, 81]));
        holders.give(TABLE, first("b"), holder("b", "10.1.0.3/24", &[82]));
        holders.give(TABLE, first("c"), holder("c", "10.1.0.4/32", &[83]));
        let all = holders.elements(TABLE);
        let mut sets: Vec<_> = all.keys().map(|element| element.set).collect();
        sets.dedup();
        assert_eq!(sets.len(), 4, "{sets:?}");
        for flushed in sets {
            let mut left = all.clone();
            left.retain(|element, _| element.set != flushed);
            let rebuilt = Holders::of(TABLE, &left).elements(TABLE);
            assert_eq!(rebuilt, all, "without {flushed}");
            assert!(difference(TABLE, &left, &rebuilt).len() < all.len());
        }
        assert!(difference(TABLE, &all, &all).is_empty());
    }

    #[test]
    fn a_rebuilt_record_has_its_port_before_those_that_wait() {
        let mut holders = Holders::default();
        // One of the two orders is that of the keys.
        for (port, one, other) in [(80, "a", "b"), (81, "b", "a")] {
            holders.give(TABLE, first(one), holder(one, "10.1.0.2/24", &[port]));
            holders.give(TABLE, first(other), holder(other, "10.1.0.3/24", &[port]));
            let all = holders.elements(TABLE);
            let mut left = all.clone();
            left.retain(|element, _| element.set != TABLE.owners());
            assert_eq!(Holders::of(TABLE, &left).elements(TABLE), all);
            holders = Holders::default();
        }
    }

    #[test]
    fn elements_of_others_stay_unless_they_are_in_the_way() {
        let mut holders = Holders::default();
        holders.give(TABLE, first("a"), holder("a", "10.1.0.2/24", &[80]));
        let wanted = holders.elements(TABLE);
        let set = TABLE.set(SetKind::HostPorts(None));
        let foreign = |port: u8| {
            let key = vec![6, 0, 0, 0, 0, port, 0, 0];
            let data = vec![10, 9, 9, 9, 0, 80, 0, 0];
            (Element { set, key }, (data, "mine".to_owned()))
        };
        let present = Elements::from([foreign(80), foreign(90)]);
        let edits = difference(TABLE, &present, &wanted);
        assert_eq!(edits.len(), wanted.len() + 1);
    }
}
