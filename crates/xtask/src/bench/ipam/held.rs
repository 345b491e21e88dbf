//! Which addresses are in use, and who holds them; and for whom calls are.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;

/// The name of the network.
pub(super) const NETWORK: &str = "net";

/// A subnet larger than any number of addresses in use.
pub(super) const SUBNET: &str = "10.0.0.0/8";

/// The subnet's gateway. The addresses in use are those that follow it.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// Every attachment's interface.
pub(super) const IFNAME: &str = "eth0";

/// The address of this number among those in use.
pub(super) fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(GATEWAY.to_bits() + 1 + number)
}

/// The container that holds the address of this number.
pub(super) fn holder(number: u32) -> String {
    container("holder", number.into())
}

/// The container that the calls of a round are for.
pub(super) fn caller(round: usize) -> String {
    container("caller", round as u64)
}

/// A container that holds nothing, another one in each round.
pub(super) fn stranger(round: usize) -> String {
    container("stranger", round as u64)
}

/// An id as containerd makes it: 64 digits at random, so that those of neighbours have nothing in common. The same in each run.
fn container(kind: &str, number: u64) -> String {
    let part = |part: u8| {
        let mut hasher = DefaultHasher::new();
        (kind, number, part).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    };
    (0..4).map(part).collect()
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
        assert!(ids.iter().all(|id| id.len() == 64));
        assert_eq!(holder(7), holder(7));
    }

    #[test]
    fn addresses_follow_one_another() {
        assert_eq!(address(0).to_string(), "10.0.0.2");
        assert_eq!(address(299).to_string(), "10.0.1.45");
    }
}
