//! Containers that there are none of but their ids.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The container of this number among those that were there before any call.
pub(super) fn holder(number: u32) -> String {
    id("holder", number.into())
}

/// The container that the calls of a round are for.
pub(super) fn caller(round: usize) -> String {
    id("caller", round as u64)
}

/// A container that holds nothing, another one in each round.
pub(super) fn stranger(round: usize) -> String {
    id("stranger", round as u64)
}

/// An id as containerd makes it: 64 digits at random, so that those of neighbours have nothing in common. The same in each run.
fn id(kind: &str, number: u64) -> String {
    let part = |part: u8| {
        let mut hasher = DefaultHasher::new();
        (kind, number, part).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    };
    (0..4).map(part).collect()
}

/// Whether a name is one of these ids.
pub(super) fn is_id(name: &str) -> bool {
    name.len() == 64 && name.chars().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn containers_have_ids_of_their_own() {
        let ids = (0..100).flat_map(|number| {
            [
                holder(number),
                caller(number as usize),
                stranger(number as usize),
            ]
        });
        let ids: BTreeSet<String> = ids.collect();
        assert_eq!(ids.len(), 300);
        assert!(ids.iter().all(|id| is_id(id)));
        assert_eq!(holder(7), holder(7));
        assert!(!is_id(".attachments") && !is_id(&"x".repeat(64)));
    }
}
