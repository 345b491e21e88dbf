//! The effect of a rule, whatever its encoding: `nft` restores a rule in another encoding than this
//! crate's.

use std::collections::BTreeMap;

use netlink::attributes::{Malformed, be32, find, text};
use nix::libc;

use crate::nf_tables::{
    bitwise, cmp, ct, data, dynset, fib, immediate, lookup, meta, nat, payload,
};

/// The effect of a rule. No two rules of this crate have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    conditions: Vec<Condition>,
    outcome: Action,
}

/// A condition for the rule to apply to a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    /// The loaded value, under a mask that does not end with zeros, compares with a value.
    Compare {
        source: Source,
        mask: Vec<u8>,
        operation: u32,
        value: Vec<u8>,
    },
    /// A set has an element with this key, or has none.
    IsIn {
        set: String,
        key: Key,
        is_negated: bool,
    },
    /// A map has an element with this key.
    IsMapped { map: String, key: Key },
}

/// The source of a register's value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Packet {
        header: u32,
        offset: u32,
    },
    /// Metadata of the packet (`NFT_META_*`).
    Meta(u32),
    /// A result of the routing tables (`NFT_FIB_RESULT_*`), and the address that was looked up
    /// (`NFTA_FIB_F_*`).
    Fib(u32, u32),
    /// A property of the connection (`NFT_CT_*`), of one direction.
    Connection(u32, u8),
    /// The value of a map for a key.
    Map(String),
}

/// The sources of a key, each with its length in bytes.
type Key = Vec<(Source, usize)>;

/// The action on a packet to which the rule applies.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Masquerade,
    /// A verdict, by its attributes.
    Verdict(Vec<u8>),
    /// An element with this key is added to a set.
    Added {
        set: String,
        key: Key,
    },
    /// DNAT to the loaded address and the port behind it.
    Sent {
        family: u32,
        address: Source,
        /// The number of units of four bytes between the address and the port.
        distance: u32,
    },
}

/// The source and the mask of each loaded register, by the unit of four bytes where it begins.
#[derive(Debug, Default)]
struct Registers(BTreeMap<u32, (Source, Vec<u8>)>);

impl Meaning {
    /// The meaning of a rule's expressions, each with its name and its data; `None` if one of them
    /// does something that no rule of this crate does. Counters do not matter.
    pub(crate) fn of(expressions: &[(String, Vec<u8>)]) -> Option<Self> {
        let mut registers = Registers::default();
        let mut conditions = Vec::new();
        let mut outcome = None;
        for (name, data) in expressions {
            if name == "counter" {
                continue;
            }
            if outcome.is_some() {
                return None;
            }
            match name.as_str() {
                "payload" | "meta" | "fib" | "ct" => registers.load(name, data).ok()??,
                "bitwise" => registers.mask(data).ok()??,
                "cmp" => conditions.push(registers.compare(data).ok()??),
                "lookup" => conditions.push(registers.look_up(data).ok()??),
                "immediate" => outcome = Some(Action::Verdict(verdict(data).ok()??)),
                "masq" => outcome = Some(Action::Masquerade),
                "dynset" => outcome = Some(registers.add(data).ok()??),
                "nat" => outcome = Some(registers.send(data).ok()??),
                _ => return None,
            }
        }
        Some(Self {
            conditions,
            outcome: outcome?,
        })
    }
}

impl Registers {
    fn load(&mut self, name: &str, data: &[u8]) -> Result<Option<()>, Malformed> {
        // The name of an interface fills a whole register; other values are shorter.
        let whole = Some(libc::NFT_REG_SIZE as u32);
        let (register, source, length) = match name {
            "meta" => {
                let key = be32(data, meta::KEY)?;
                let length = match key.map(u32::cast_signed) {
                    Some(libc::NFT_META_L4PROTO) => Some(1),
                    _ => whole,
                };
                (be32(data, meta::REGISTER)?, key.map(Source::Meta), length)
            }
            "fib" => {
                let result = be32(data, fib::RESULT)?.zip(be32(data, fib::FLAGS)?);
                let source = result.map(|(result, flags)| Source::Fib(result, flags));
                (be32(data, fib::REGISTER)?, source, Some(4))
            }
            "ct" => {
                let key = be32(data, ct::KEY)?;
                let direction = find(data, ct::DIRECTION)?.first().copied();
                let source = key.zip(direction);
                let source = source.map(|(key, direction)| Source::Connection(key, direction));
                (be32(data, ct::REGISTER)?, source, whole)
            }
            _ => {
                let header = be32(data, payload::BASE)?;
                let source = header.zip(be32(data, payload::OFFSET)?);
                let source = source.map(|(header, offset)| Source::Packet { header, offset });
                let length = be32(data, payload::LENGTH)?;
                (be32(data, payload::REGISTER)?, source, length)
            }
        };
        let (Some(unit), Some(source), Some(length)) = (register.and_then(unit), source, length)
        else {
            return Ok(None);
        };
        // All registers together have 64 bytes.
        let mask = vec![0xff; length.min(64) as usize];
        self.0.insert(unit, (source, mask));
        Ok(Some(()))
    }

    fn mask(&mut self, data: &[u8]) -> Result<Option<()>, Malformed> {
        let from = be32(data, bitwise::SOURCE)?;
        let to = be32(data, bitwise::DESTINATION)?;
        let mask = find(find(data, bitwise::MASK)?, data::VALUE)?;
        let xor = find(find(data, bitwise::XOR)?, data::VALUE)?;
        let is_shift = be32(data, bitwise::OPERATION)?.is_some_and(|operation| operation != 0);
        let loaded = from.and_then(unit).and_then(|from| self.0.get(&from));
        let (Some((source, _)), Some(to)) = (loaded.cloned(), to.and_then(unit)) else {
            return Ok(None);
        };
        if is_shift || xor.iter().any(|byte| *byte != 0) {
            return Ok(None);
        }
        self.0.insert(to, (source, mask.to_vec()));
        Ok(Some(()))
    }

    fn compare(&self, data: &[u8]) -> Result<Option<Condition>, Malformed> {
        let register = be32(data, cmp::REGISTER)?;
        let operation = be32(data, cmp::OPERATION)?;
        let value = find(find(data, cmp::DATA)?, data::VALUE)?;
        let loaded = register.and_then(unit).and_then(|unit| self.0.get(&unit));
        let (Some((source, mask)), Some(operation)) = (loaded, operation) else {
            return Ok(None);
        };
        let mut mask = mask.clone();
        mask.truncate(value.len());
        let last = mask.iter().rposition(|byte| *byte != 0);
        mask.truncate(last.map_or(0, |last| last + 1));
        Ok(Some(Condition::Compare {
            source: source.clone(),
            operation,
            value: value.iter().take(mask.len()).copied().collect(),
            mask,
        }))
    }

    fn look_up(&mut self, data: &[u8]) -> Result<Option<Condition>, Malformed> {
        let is_negated = be32(data, lookup::FLAGS)?.is_some_and(|flags| flags != 0);
        let destination = be32(data, lookup::DESTINATION)?;
        let set = text(data, lookup::SET)?.to_owned();
        let Some(key) = self.key(be32(data, lookup::REGISTER)?) else {
            return Ok(None);
        };
        let Some(destination) = destination else {
            return Ok(Some(Condition::IsIn {
                set,
                key,
                is_negated,
            }));
        };
        let Some(unit) = unit(destination).filter(|_| !is_negated) else {
            return Ok(None);
        };
        // The map's value replaces the register's.
        self.0.retain(|other, _| *other < unit);
        self.0.insert(unit, (Source::Map(set.clone()), Vec::new()));
        Ok(Some(Condition::IsMapped { map: set, key }))
    }

    /// The sources of a key that begins in a register.
    fn key(&self, register: Option<u32>) -> Option<Key> {
        let mut next = register.and_then(unit)?;
        let mut key = Vec::new();
        while let Some((source, mask)) = self.0.get(&next) {
            if mask.iter().any(|byte| *byte != 0xff) {
                return None;
            }
            key.push((source.clone(), mask.len()));
            next += mask.len().div_ceil(4).max(1) as u32;
        }
        Some(key)
    }

    fn add(&self, data: &[u8]) -> Result<Option<Action>, Malformed> {
        let set = text(data, dynset::SET)?.to_owned();
        let is_addition = be32(data, dynset::OPERATION)?.unwrap_or(dynset::ADD) == dynset::ADD;
        let key = self.key(be32(data, dynset::KEY_REGISTER)?);
        let key = key.filter(|_| is_addition);
        Ok(key.map(|key| Action::Added { set, key }))
    }

    fn send(&self, data: &[u8]) -> Result<Option<Action>, Malformed> {
        let is_of_destination = be32(data, nat::TYPE)? == Some(nat::DESTINATION);
        let address = be32(data, nat::ADDRESS_REGISTER)?.and_then(unit);
        let port = be32(data, nat::PORT_REGISTER)?.and_then(unit);
        let (Some(address), Some(port), Some(family), true) =
            (address, port, be32(data, nat::FAMILY)?, is_of_destination)
        else {
            return Ok(None);
        };
        let loaded = self.0.get(&address);
        Ok(loaded.map(|(source, _)| Action::Sent {
            family,
            address: source.clone(),
            distance: port.wrapping_sub(address),
        }))
    }
}

fn verdict(data: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    if be32(data, immediate::REGISTER)? != Some(libc::NFT_REG_VERDICT as u32) {
        return Ok(None);
    }
    let verdict = find(find(data, immediate::DATA)?, data::VERDICT)?;
    Ok(Some(verdict.to_vec()))
}

/// The unit of four bytes where a register begins. There are two ways to name the same memory: four
/// registers of 16 bytes (`NFT_REG_1` and so on), or 16 of four bytes (`NFT_REG32_00` and so on).
fn unit(register: u32) -> Option<u32> {
    match i32::try_from(register).ok()? {
        libc::NFT_REG_1..=libc::NFT_REG_4 => Some((register - 1) * 4),
        libc::NFT_REG32_00..=libc::NFT_REG32_15 => Some(register - 8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use netlink::attributes::Attributes;

    use crate::expression::{self, Expression, Header, PacketField};
    use crate::nf_tables::rule;

    use super::*;

    /// An expression as a listed rule has it.
    fn listed(expression: &Expression) -> (String, Vec<u8>) {
        let bytes = expression.as_bytes();
        let name = text(bytes, rule::EXPRESSION_NAME).unwrap();
        let data = find(bytes, rule::EXPRESSION_DATA).unwrap();
        (name.to_owned(), data.to_vec())
    }

    fn field(offset: u32) -> PacketField {
        PacketField {
            header: Header::Network,
            offset,
            length: 4,
        }
    }

    /// The rule for the set of 10.1.1.0/24.
    fn rule_of_a_network() -> Vec<(String, Vec<u8>)> {
        let expressions = [
            expression::load(field(12)),
            expression::is_in("from-10.1.1.0/24"),
            expression::load(field(16)),
            expression::mask(&[255, 255, 255, 0]),
            expression::is_not(&[10, 1, 1, 0]),
            expression::masquerade(),
        ];
        expressions.iter().map(listed).collect()
    }

    #[test]
    fn another_spelling_means_the_same() {
        let rule = rule_of_a_network();
        let expected = Meaning::of(&rule);
        assert!(expected.is_some());
        // `nft` writes three bytes instead of four under a mask.
        let number = |kind, value| Attributes::new().be32(kind, value);
        let three_bytes = number(1, 1).be32(2, 1).be32(3, 16).be32(4, 3);
        let value = Attributes::new().bytes(1, &[10, 1, 1]);
        let compare = number(1, 8).be32(2, 1).nest(3, value);
        let mut spelled = rule[..2].to_vec();
        spelled.push(("payload".to_owned(), three_bytes.into_bytes()));
        spelled.push(("counter".to_owned(), Vec::new()));
        spelled.push(("cmp".to_owned(), compare.into_bytes()));
        spelled.push(rule[5].clone());
        assert_eq!(Meaning::of(&spelled), expected);
        // No expression can be left out or cut off, and no damage is a panic.
        for position in 0..spelled.len() {
            let mut other = spelled.clone();
            let (name, mut data) = other.remove(position);
            if name == "counter" {
                continue;
            }
            assert_ne!(Meaning::of(&other), expected, "without {name}");
            for length in 0..data.len() {
                other.insert(position, (name.clone(), data[..length].to_vec()));
                assert_ne!(Meaning::of(&other), expected, "{length} bytes of {name}");
                other.remove(position);
            }
            for at in 0..data.len() {
                data[at] ^= 0xff;
                other.insert(position, (name.clone(), data.clone()));
                Meaning::of(&other);
                other.remove(position);
                data[at] ^= 0xff;
            }
        }
    }

    #[test]
    fn any_other_number_means_something_else() {
        let rule = rule_of_a_network();
        let expected = Meaning::of(&rule);
        for other in [
            expression::mask(&[255, 255, 0, 0]),
            expression::mask(&[255, 255, 255, 128]),
        ] {
            let mut rule = rule.clone();
            rule[3] = listed(&other);
            assert_ne!(Meaning::of(&rule), expected);
        }
        for other in [
            expression::is_not(&[10, 1, 2, 0]),
            expression::is(&[10, 1, 1, 0]),
        ] {
            let mut rule = rule.clone();
            rule[4] = listed(&other);
            assert_ne!(Meaning::of(&rule), expected);
        }
        let mut longer = rule;
        longer.insert(0, listed(&expression::load_input_name()));
        longer.insert(1, listed(&expression::is_in("ports")));
        assert_ne!(Meaning::of(&longer), expected);
    }
}
