//! The encoding of the tables' keys and values. Names contain no zero byte, so a zero byte
//! separates the parts of a key.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cni_types::{ContainerId, IfName, NetworkName};
use ipnetwork::IpNetwork;
use state::BootId;

use crate::{Age, Owner};

/// The first byte of an index, in the place of an address's family.
const INDEX: u8 = 0;

/// The ID of the boot in which an address was given; zero if it is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Boot(u128);

impl From<Option<BootId>> for Boot {
    fn from(boot: Option<BootId>) -> Self {
        Self(boot.map_or(0, BootId::to_bits))
    }
}

impl Boot {
    /// The boot ID, if it is known.
    pub(super) fn bytes(self) -> Option<[u8; 16]> {
        (self.0 != 0).then(|| self.0.to_le_bytes())
    }

    /// The boot to record for an address of this age.
    pub(super) fn of_age(self, age: Age) -> Self {
        match age {
            Age::ThisBoot => self,
            // Any other boot ID but zero.
            Age::EarlierBoot => Self(if self.0 == 1 { 2 } else { 1 }),
        }
    }

    /// The age of an address of this boot, seen from the boot `now`.
    fn age(self, now: Boot) -> Age {
        let known = self.0 != 0 && now.0 != 0;
        if known && self != now {
            Age::EarlierBoot
        } else {
            Age::ThisBoot
        }
    }
}

/// The prefix of the keys of a network's addresses, and of its subnets.
pub(super) fn of_network(network: &NetworkName) -> Vec<u8> {
    let mut key = network.as_str().as_bytes().to_vec();
    key.push(0);
    key
}

/// Splits the key of an address or of a range set into its network and the rest.
pub(super) fn read_network(key: &[u8]) -> Option<(NetworkName, &[u8])> {
    let end = key.iter().position(|byte| *byte == 0)?;
    let (network, rest) = key.split_at_checked(end)?;
    let network = std::str::from_utf8(network).ok()?.parse().ok()?;
    Some((network, rest.get(1..)?))
}

pub(super) fn address(network: &NetworkName, address: IpAddr) -> Vec<u8> {
    let mut key = of_network(network);
    push_address(&mut key, address);
    key
}

pub(super) fn subnet(network: &NetworkName, subnet: IpNetwork) -> Vec<u8> {
    let mut key = address(network, subnet.network());
    key.push(subnet.prefix());
    key
}

/// The key of a range set of which only the index is known.
pub(super) fn index(network: &NetworkName, index: usize) -> Vec<u8> {
    let mut key = of_network(network);
    key.push(INDEX);
    key.extend(index_bytes(index));
    key
}

/// The value of a range set: the address that it gave last, and its index.
pub(super) fn last(address: IpAddr, index: usize) -> Vec<u8> {
    let mut value = addresses(&[address]);
    value.extend(index_bytes(index));
    value
}

pub(super) fn read_last(value: &[u8]) -> Option<(IpAddr, usize)> {
    let (address, rest) = split_address(value)?;
    let index = u32::from_le_bytes(rest.try_into().ok()?);
    Some((address, index.try_into().ok()?))
}

fn index_bytes(index: usize) -> [u8; 4] {
    // There are never so many range sets that it matters.
    u32::try_from(index).unwrap_or(u32::MAX).to_le_bytes()
}

/// The prefix of the keys of a container's owners.
pub(super) fn of_container(container_id: &ContainerId) -> Vec<u8> {
    let mut key = container_id.as_str().as_bytes().to_vec();
    key.push(0);
    key
}

pub(super) fn owner(owner: &Owner, network: &NetworkName) -> Vec<u8> {
    let mut key = of_container(&owner.container_id);
    let ifname = owner.ifname.as_ref().map_or("", IfName::as_str);
    key.extend(ifname.as_bytes());
    key.push(0);
    key.extend(network.as_str().as_bytes());
    key
}

/// Reads the part of an owner's key that follows [`of_container`].
pub(super) fn read_interface(rest: &[u8]) -> Option<(Option<IfName>, NetworkName)> {
    let (ifname, network) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
    let ifname = match ifname {
        "" => None,
        ifname => Some(IfName::recorded(ifname).ok()?),
    };
    Some((ifname, network.parse().ok()?))
}

pub(super) fn lease(boot: Boot, owner: &Owner) -> Vec<u8> {
    let mut value = boot.0.to_le_bytes().to_vec();
    value.extend(owner.to_string().as_bytes());
    value
}

/// Reads the value of an address: its owner, and its age as seen from the boot `now`.
pub(super) fn read_lease(value: &[u8], now: Boot) -> Option<(Owner, Age)> {
    let (boot, owner) = value.split_first_chunk()?;
    let boot = Boot(u128::from_le_bytes(*boot));
    Some((Owner::parse(owner)?, boot.age(now)))
}

pub(super) fn addresses(addresses: &[IpAddr]) -> Vec<u8> {
    let mut value = Vec::new();
    for address in addresses {
        push_address(&mut value, *address);
    }
    value
}

pub(super) fn read_addresses(mut value: &[u8]) -> Option<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    while let Some((address, rest)) = split_address(value) {
        addresses.push(address);
        value = rest;
    }
    value.is_empty().then_some(addresses)
}

/// Reads exactly one address.
pub(super) fn read_address(value: &[u8]) -> Option<IpAddr> {
    let (address, rest) = split_address(value)?;
    rest.is_empty().then_some(address)
}

/// An encoded address starts with its family, so that keys sort as [`IpAddr`]s do.
fn push_address(key: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            key.push(4);
            key.extend(v4.octets());
        }
        IpAddr::V6(v6) => {
            key.push(6);
            key.extend(v6.octets());
        }
    }
}

fn split_address(value: &[u8]) -> Option<(IpAddr, &[u8])> {
    match value.split_first()? {
        (4, rest) => {
            let (octets, rest) = rest.split_first_chunk()?;
            Some((Ipv4Addr::from_octets(*octets).into(), rest))
        }
        (6, rest) => {
            let (octets, rest) = rest.split_first_chunk()?;
            Some((Ipv6Addr::from_octets(*octets).into(), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boot(digit: u8) -> Boot {
        Boot::from(BootId::parse(&format!(
            "5a2e9ee8-5b0c-4a34-b5c4-00000000000{digit}"
        )))
    }

    #[test]
    fn only_another_known_boot_is_an_earlier_one() {
        let unknown = Boot::from(None);
        for (given, now, age) in [
            (boot(1), boot(1), Age::ThisBoot),
            (boot(1), boot(2), Age::EarlierBoot),
            (unknown, boot(2), Age::ThisBoot),
            (boot(1), unknown, Age::ThisBoot),
        ] {
            assert_eq!(given.age(now), age);
        }
    }

    #[test]
    fn networks_do_not_mix() {
        let [a, b]: [NetworkName; 2] = ["net", "net.1"].map(|name| name.parse().unwrap());
        let key = address(&b, "10.0.0.1".parse().unwrap());
        assert_eq!(key.strip_prefix(of_network(&a).as_slice()), None);
        assert_ne!(
            subnet(&a, "10.0.0.0/8".parse().unwrap()),
            subnet(&a, "10.0.0.0/9".parse().unwrap())
        );
    }

    proptest! {
        #[test]
        fn addresses_are_read_back_and_sort_as_they_do(list: Vec<IpAddr>) {
            prop_assert_eq!(read_addresses(&addresses(&list)), Some(list.clone()));
            for pair in list.windows(2) {
                let keys = pair.iter().map(|a| addresses(&[*a])).collect::<Vec<_>>();
                prop_assert_eq!(keys[0].cmp(&keys[1]), pair[0].cmp(&pair[1]));
            }
        }

        #[test]
        fn any_value_is_read_or_refused(value: Vec<u8>) {
            if let Some(list) = read_addresses(&value) {
                prop_assert_eq!(addresses(&list), value.clone());
            }
            let _ = read_lease(&value, boot(1));
            let _ = read_interface(&value);
        }
    }
}
