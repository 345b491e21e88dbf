//! What a rule does, however it is written: `nft` writes a rule that it restores in another way than
//! this crate does.

use std::collections::BTreeMap;

use netlink_packet_core::DecodeError;

use crate::attributes::{find, number, text};

/// What a rule does: the rules of this crate differ in this and in nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    conditions: Vec<Condition>,
    outcome: Outcome,
}

/// What a packet has to be for the rule to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    /// Bytes of the packet, under a mask without zeros at its end, are a value, or are not.
    Bytes {
        header: u32,
        offset: u32,
        mask: Vec<u8>,
        operation: u32,
        value: Vec<u8>,
    },
    /// A set has an element with this key.
    IsIn { set: String, key: Vec<Source> },
}

/// What a register is loaded with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Packet {
        header: u32,
        offset: u32,
        length: u32,
    },
    /// Something about the packet (`NFT_META_*`).
    Meta(u32),
}

/// What becomes of a packet to which the rule applies.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Masquerade,
    /// The verdict's attributes.
    Verdict(Vec<u8>),
}

/// The registers, by the place where each begins, in units of four bytes.
#[derive(Debug, Default)]
struct Registers(BTreeMap<u32, (Source, Vec<u8>)>);

impl Meaning {
    /// The meaning of expressions, each with its name and its attributes; `None` if they do something
    /// that no rule of this crate does. Counters do not matter.
    pub(crate) fn of<'a>(expressions: impl Iterator<Item = (&'a str, &'a [u8])>) -> Option<Self> {
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
            match name {
                "payload" | "meta" => registers.load(name, data).ok()??,
                "bitwise" => registers.mask(data).ok()??,
                "cmp" => conditions.push(registers.compare(data).ok()??),
                "lookup" => conditions.push(registers.look_up(data).ok()??),
                "immediate" => outcome = Some(Outcome::Verdict(verdict(data).ok()??)),
                "masq" => outcome = Some(Outcome::Masquerade),
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
    fn load(&mut self, name: &str, data: &[u8]) -> Result<Option<()>, DecodeError> {
        let (register, source, length) = if name == "meta" {
            // The name of an interface fills a register of 16 bytes.
            (
                number(data, 1)?,
                number(data, 2)?.map(Source::Meta),
                Some(16),
            )
        } else {
            let (header, offset, length) = (number(data, 2)?, number(data, 3)?, number(data, 4)?);
            let source = header.zip(offset).zip(length);
            let source = source.map(|((header, offset), length)| Source::Packet {
                header,
                offset,
                length,
            });
            (number(data, 1)?, source, length)
        };
        let (Some(place), Some(source), Some(length)) = (register.and_then(place), source, length)
        else {
            return Ok(None);
        };
        // Nothing that can be compared is longer than the four registers together.
        let mask = vec![0xff; length.min(64) as usize];
        self.0.insert(place, (source, mask));
        Ok(Some(()))
    }

    fn mask(&mut self, data: &[u8]) -> Result<Option<()>, DecodeError> {
        let (from, to, operation) = (number(data, 1)?, number(data, 2)?, number(data, 6)?);
        let (mask, flipped) = (find(find(data, 4)?, 1)?, find(find(data, 5)?, 1)?);
        let loaded = from.and_then(place).and_then(|from| self.0.get(&from));
        let (Some((source, _)), Some(to)) = (loaded.cloned(), to.and_then(place)) else {
            return Ok(None);
        };
        if operation.unwrap_or_default() != 0 || flipped.iter().any(|byte| *byte != 0) {
            return Ok(None);
        }
        self.0.insert(to, (source, mask.to_vec()));
        Ok(Some(()))
    }

    fn compare(&self, data: &[u8]) -> Result<Option<Condition>, DecodeError> {
        let (register, operation) = (number(data, 1)?, number(data, 2)?);
        let value = find(find(data, 3)?, 1)?;
        let loaded = register
            .and_then(place)
            .and_then(|place| self.0.get(&place));
        let (Some((Source::Packet { header, offset, .. }, mask)), Some(operation)) =
            (loaded, operation)
        else {
            return Ok(None);
        };
        let mut mask = mask.clone();
        mask.truncate(value.len());
        let end = mask
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        mask.truncate(end);
        Ok(Some(Condition::Bytes {
            header: *header,
            offset: *offset,
            operation,
            value: value.iter().take(end).copied().collect(),
            mask,
        }))
    }

    fn look_up(&self, data: &[u8]) -> Result<Option<Condition>, DecodeError> {
        let (register, to, flags) = (number(data, 2)?, number(data, 3)?, number(data, 5)?);
        let Some(mut next) = register.and_then(place) else {
            return Ok(None);
        };
        if to.is_some() || flags.unwrap_or_default() != 0 {
            return Ok(None);
        }
        let mut key = Vec::new();
        while let Some((source, mask)) = self.0.get(&next) {
            if mask.iter().any(|byte| *byte != 0xff) {
                return Ok(None);
            }
            key.push(source.clone());
            next += mask.len().div_ceil(4).max(1) as u32;
        }
        let set = text(data, 1)?.to_owned();
        Ok(Some(Condition::IsIn { set, key }))
    }
}

fn verdict(data: &[u8]) -> Result<Option<Vec<u8>>, DecodeError> {
    const VERDICT: u32 = 0;
    if number(data, 1)? != Some(VERDICT) {
        return Ok(None);
    }
    Ok(Some(find(find(data, 2)?, 2)?.to_vec()))
}

/// Where a register begins. Registers 1 to 4 have 16 bytes, and those from 8 on are the same in parts
/// of four bytes.
fn place(register: u32) -> Option<u32> {
    match register {
        1..=4 => Some((register - 1) * 4),
        8..=23 => Some(register - 8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::attributes::Attributes;
    use crate::table::{Set, SetKind, Table};

    use super::*;

    /// Expressions as they are written here.
    fn expressions(rule: &crate::rule::Rule) -> Vec<(String, Vec<u8>)> {
        let read = |expression: &Attributes| {
            let bytes = expression.as_bytes();
            (
                text(bytes, 1).unwrap().to_owned(),
                find(bytes, 2).unwrap().to_vec(),
            )
        };
        rule.expressions.iter().map(read).collect()
    }

    fn meaning(expressions: &[(String, Vec<u8>)]) -> Option<Meaning> {
        Meaning::of(
            expressions
                .iter()
                .map(|(name, data)| (name.as_str(), data.as_slice())),
        )
    }

    fn of_network(network: &str) -> crate::rule::Rule {
        let kind = SetKind::From(network.parse().unwrap());
        let table = Table::Masquerade4;
        Set { table, kind }.rule().unwrap()
    }

    #[test]
    fn rules_of_this_crate_differ_in_what_they_mean() {
        let mut meanings = Vec::new();
        for table in Table::ALL {
            let rules = table.rules();
            meanings.extend(
                rules
                    .iter()
                    .map(|rule| meaning(&expressions(rule)).unwrap()),
            );
        }
        for network in ["10.1.1.0/24", "10.1.0.0/20", "10.1.0.0/16"] {
            meanings.push(meaning(&expressions(&of_network(network))).unwrap());
        }
        for (position, one) in meanings.iter().enumerate() {
            assert_eq!(
                meanings.iter().position(|other| other == one),
                Some(position)
            );
        }
    }

    #[test]
    fn another_spelling_means_the_same() {
        let rule = expressions(&of_network("10.1.1.0/24"));
        let expected = meaning(&rule);
        assert!(expected.is_some());
        // As `nft` writes it: three bytes instead of four under a mask. A counter does not matter.
        let number = |kind, value| Attributes::new().number(kind, value);
        let three_bytes = number(1, 1).number(2, 1).number(3, 16).number(4, 3);
        let value = Attributes::new().bytes(1, &[10, 1, 1]);
        let compare = number(1, 8).number(2, 1).nest(3, value);
        let mut spelled = rule[..2].to_vec();
        spelled.push(("payload".to_owned(), three_bytes.into_bytes()));
        spelled.push(("counter".to_owned(), Vec::new()));
        spelled.push(("cmp".to_owned(), compare.into_bytes()));
        spelled.push(rule[5].clone());
        assert_eq!(meaning(&spelled), expected);
        // Nothing of it can be left out, nor damaged.
        for position in 0..spelled.len() {
            let mut less = spelled.clone();
            let (name, mut data) = less.remove(position);
            if name == "counter" {
                continue;
            }
            assert_ne!(meaning(&less), expected, "without {name}");
            for length in 0..data.len() {
                less.insert(position, (name.clone(), data[..length].to_vec()));
                assert_ne!(meaning(&less), expected, "{length} bytes of {name}");
                less.remove(position);
            }
            for at in 0..data.len() {
                data[at] ^= 0xff;
                less.insert(position, (name.clone(), data.clone()));
                meaning(&less);
                less.remove(position);
                data[at] ^= 0xff;
            }
        }
    }
}
