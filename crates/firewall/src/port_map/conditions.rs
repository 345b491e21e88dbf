//! The conditions of a network: a subset of `nft`'s language.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::expression::{Expression, PacketField, is, is_not, load, load_input_name, mask};
use crate::layout::{NAME_LENGTH, octets};
use crate::owner::token;
use crate::table::Table;

/// The longest text of conditions: it is the name of a set, which may have 255 bytes.
const LONGEST: usize = 200;

/// The largest number of rules for conditions: one for each combination of the alternatives.
const MOST_RULES: usize = 64;

/// Conditions under which packets for the node are sent to a network's containers.
///
/// The text names a set, from which the conditions' rules can be rebuilt: letters, digits and the
/// characters `/`, `.`, `-` and `_`. Each match is its field, `s`, `d` or `i`, with the number of
/// the values and the values: `s1/10.0.0.0/8/not-i1/eth0`. In addresses, `_` stands for a colon.
#[derive(Clone, Copy)]
pub struct Conditions {
    bytes: [u8; LONGEST],
    length: u8,
}

/// A digest that identifies conditions in the names of sets and in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token([u8; 10]);

/// Expressions of `nft` that are not supported as conditions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{problem} in {words:?}: supported are \"ip saddr\" and \"ip daddr\" (IPv6: \"ip6\") with \
    addresses and networks, and \"iifname\" with names, each with \"!=\" and with sets in braces"
)]
pub struct UnsupportedConditions {
    /// The first unsupported word, or the reason.
    pub problem: String,
    /// All of the words.
    pub words: String,
}

/// A match. All matches of conditions must apply.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Match {
    field: Field,
    is_negated: bool,
    /// The alternatives, of which one must apply; none of them, if negated.
    values: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Source,
    Destination,
    Input,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Network(IpNetwork),
    Name(String),
}

impl Conditions {
    /// Reads the words of a network's conditions for IPv4 or IPv6; `None` without words.
    ///
    /// # Errors
    /// [`UnsupportedConditions`] for anything but matches of addresses and incoming interfaces.
    pub fn parse(words: &[String], is_ipv6: bool) -> Result<Option<Self>, UnsupportedConditions> {
        let whole = words.join(" ");
        let refused = |problem: String| UnsupportedConditions {
            problem,
            words: whole.clone(),
        };
        let mut tokens = whole.clone();
        for sign in ["{", "}", ",", "!=", "=="] {
            tokens = tokens.replace(sign, &format!(" {sign} "));
        }
        let tokens: Vec<&str> = tokens.split_whitespace().collect();
        let mut matches = Vec::new();
        let mut rest = tokens.as_slice();
        while !rest.is_empty() {
            let (next, left) = Match::parse(rest, is_ipv6).map_err(|word| {
                refused(match word {
                    Some(word) => format!("{word:?} is not supported"),
                    None => "a value is missing".to_owned(),
                })
            })?;
            matches.push(next);
            rest = left;
        }
        if matches.is_empty() {
            return Ok(None);
        }
        if rule_count(&matches) > MOST_RULES {
            return Err(refused(format!("more than {MOST_RULES} combinations")));
        }
        let text: Vec<_> = matches.iter().map(Match::text).collect();
        let conditions = Self::of_text(&text.join("/"));
        let too_long = || refused(format!("more than {LONGEST} bytes of values"));
        conditions.map(Some).ok_or_else(too_long)
    }

    /// The conditions in the name of a set.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let conditions = Self::of_text(name)?;
        let matches = conditions.matches()?;
        let text: Vec<_> = matches.iter().map(Match::text).collect();
        let is_own = text.join("/") == name && rule_count(&matches) <= MOST_RULES;
        is_own.then_some(conditions)
    }

    fn of_text(text: &str) -> Option<Self> {
        let mut bytes = [0; LONGEST];
        bytes
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        let length = text.len() as u8;
        Some(Self { bytes, length })
    }

    fn text(&self) -> &str {
        let bytes = self
            .bytes
            .get(..usize::from(self.length))
            .unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    pub(crate) fn token(&self) -> Token {
        Token(token(self.text()))
    }

    /// The expressions with which rules begin: one list for each rule.
    pub(crate) fn expressions(&self, table: Table) -> Vec<Vec<Expression>> {
        let mut rules = vec![Vec::new()];
        for it in self.matches().unwrap_or_default() {
            if it.is_negated {
                for value in &it.values {
                    let one = it.expressions(value, table);
                    rules
                        .iter_mut()
                        .for_each(|rule| rule.extend(one.iter().cloned()));
                }
                continue;
            }
            let mut longer = Vec::new();
            for rule in &rules {
                for value in &it.values {
                    let one = it.expressions(value, table);
                    longer.push([rule.as_slice(), &one].concat());
                }
            }
            rules = longer;
        }
        rules
    }

    fn matches(&self) -> Option<Vec<Match>> {
        let mut words = self.text().split('/');
        let mut matches = Vec::new();
        while let Some(word) = words.next() {
            let (field, is_negated) = match word.strip_prefix("not-") {
                Some(field) => (field, true),
                None => (word, false),
            };
            let mut characters = field.chars();
            let field = match characters.next()? {
                's' => Field::Source,
                'd' => Field::Destination,
                'i' => Field::Input,
                _ => return None,
            };
            let count: usize = characters.as_str().parse().ok()?;
            if count == 0 {
                return None;
            }
            let mut values = Vec::new();
            for _ in 0..count {
                let value = words.next()?;
                values.push(match field {
                    Field::Input => Value::Name(value.to_owned()),
                    Field::Source | Field::Destination => {
                        let address: IpAddr = value.replace('_', ":").parse().ok()?;
                        let prefix = words.next()?.parse().ok()?;
                        Value::Network(IpNetwork::new(address, prefix).ok()?)
                    }
                });
            }
            matches.push(Match {
                field,
                is_negated,
                values,
            });
        }
        Some(matches)
    }
}

fn rule_count(matches: &[Match]) -> usize {
    let alternatives = matches.iter().filter(|it| !it.is_negated);
    let counts = alternatives.map(|it| it.values.len());
    counts.fold(1, usize::saturating_mul)
}

impl Match {
    /// Takes a match from the start of the words. The error is the unsupported word.
    fn parse<'a>(
        words: &'a [&'a str],
        is_ipv6: bool,
    ) -> Result<(Self, &'a [&'a str]), Option<&'a str>> {
        let family = if is_ipv6 { "ip6" } else { "ip" };
        let (field, rest) = match words {
            [first, "saddr", rest @ ..] if *first == family => (Field::Source, rest),
            [first, "daddr", rest @ ..] if *first == family => (Field::Destination, rest),
            ["meta", "iifname" | "iif", rest @ ..] | ["iifname" | "iif", rest @ ..] => {
                (Field::Input, rest)
            }
            _ => return Err(words.first().copied()),
        };
        let (is_negated, rest) = match rest {
            ["!=", rest @ ..] => (true, rest),
            ["==", rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let (values, rest) = match rest {
            ["{", rest @ ..] => {
                let end = rest.iter().position(|word| *word == "}").ok_or(None)?;
                let (inside, after) = rest.split_at(end);
                let after = after.split_first().map_or(after, |(_, after)| after);
                let values = inside.split(|word| *word == ",").map(|one| match one {
                    [value] => Value::parse(field, value, is_ipv6).ok_or(Some(*value)),
                    [] => Err(None),
                    [_, second, ..] => Err(Some(*second)),
                });
                (values.collect::<Result<Vec<_>, _>>()?, after)
            }
            [value, rest @ ..] => {
                let one = Value::parse(field, value, is_ipv6).ok_or(Some(*value))?;
                (vec![one], rest)
            }
            [] => return Err(None),
        };
        let new = Self {
            field,
            is_negated,
            values,
        };
        Ok((new, rest))
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if self.is_negated {
            text.push_str("not-");
        }
        text.push(match self.field {
            Field::Source => 's',
            Field::Destination => 'd',
            Field::Input => 'i',
        });
        let _ = write!(text, "{}", self.values.len());
        for value in &self.values {
            text.push('/');
            match value {
                Value::Name(name) => text.push_str(name),
                Value::Network(network) => {
                    // A colon ends a name in `nft`'s language.
                    text.push_str(&network.to_string().replace(':', "_"));
                }
            }
        }
        text
    }

    fn expressions(&self, value: &Value, table: Table) -> Vec<Expression> {
        let compare = if self.is_negated { is_not } else { is };
        match value {
            Value::Name(name) => {
                let mut field = name.as_bytes().to_vec();
                field.resize(NAME_LENGTH, 0);
                vec![load_input_name(), compare(&field)]
            }
            Value::Network(network) => {
                let field: PacketField = match self.field {
                    Field::Destination => table.destination(),
                    Field::Source | Field::Input => table.source(),
                };
                vec![
                    load(field),
                    mask(&octets(network.mask())),
                    compare(&octets(network.network())),
                ]
            }
        }
    }
}

impl Value {
    fn parse(field: Field, word: &str, is_ipv6: bool) -> Option<Self> {
        if field == Field::Input {
            let name = word
                .strip_prefix('"')
                .and_then(|word| word.strip_suffix('"'))
                .unwrap_or(word);
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let is_name =
                !name.is_empty() && name.len() < NAME_LENGTH && name.chars().all(is_plain);
            return is_name.then(|| Self::Name(name.to_owned()));
        }
        let network: IpNetwork = word.parse().ok()?;
        let network = IpNetwork::new(network.network(), network.prefix()).ok()?;
        (network.is_ipv6() == is_ipv6).then_some(Self::Network(network))
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Conditions").field(&self.text()).finish()
    }
}

impl PartialEq for Conditions {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Conditions {}

impl PartialOrd for Conditions {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Conditions {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text().cmp(other.text())
    }
}

impl Hash for Conditions {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text().hash(state);
    }
}

impl Token {
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let is_own = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        let bytes: [u8; 10] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(is_own).then_some(Self(bytes))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::SetKind;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn conditions_are_read_back_from_the_name_of_a_set() {
        for (text, is_ipv6, name, rules) in [
            ("ip saddr 10.1.2.3/8", false, "s1/10.0.0.0/8", 1),
            ("ip daddr != 192.0.2.1", false, "not-d1/192.0.2.1/32", 1),
            (
                "ip saddr {10.0.0.0/8,192.168.0.0/16} iifname \"eth0\"",
                false,
                "s2/10.0.0.0/8/192.168.0.0/16/i1/eth0",
                2,
            ),
            (
                "iif != { a, b } ip daddr == 1.2.3.4",
                false,
                "not-i2/a/b/d1/1.2.3.4/32",
                1,
            ),
            ("ip6 saddr fd00:1::/32", true, "s1/fd00_1__/32", 1),
            (
                "meta iifname s1 iifname { x.1, y-2 }",
                true,
                "i1/s1/i2/x.1/y-2",
                2,
            ),
        ] {
            let conditions = Conditions::parse(&words(text), is_ipv6).unwrap().unwrap();
            assert_eq!(conditions.to_string(), name, "{text}");
            let kind = SetKind::Conditions(conditions);
            assert_eq!(SetKind::of_name(&kind.name()), Some(kind));
            let table = if is_ipv6 {
                Table::PortMap6
            } else {
                Table::PortMap4
            };
            assert_eq!(conditions.expressions(table).len(), rules, "{text}");
        }
        assert_eq!(Conditions::parse(&[], false), Ok(None));
        for other in [
            "",
            "s1",
            "s1/10.0.0.0",
            "s0",
            "x1/a",
            "s1/10.0.0.1/33",
            "s01/10.0.0.0/8",
        ] {
            assert_eq!(Conditions::of_name(other), None, "{other}");
        }
    }

    #[test]
    fn words_that_are_not_supported_are_named() {
        for (text, is_ipv6, problem) in [
            ("-s 10.0.0.0/8", false, "\"-s\" is not supported"),
            ("! -d 192.0.2.0/24", false, "\"!\" is not supported"),
            ("ip6 saddr ::1", false, "\"ip6\" is not supported"),
            ("ip saddr ::1", false, "\"::1\" is not supported"),
            ("ip saddr @mine", false, "\"@mine\" is not supported"),
            (
                "ip saddr 10.0.0.0/8 drop",
                false,
                "\"drop\" is not supported",
            ),
            ("iifname eth*", false, "\"eth*\" is not supported"),
            (
                "iifname sixteen_bytes_xx",
                false,
                "\"sixteen_bytes_xx\" is not supported",
            ),
            ("ip saddr", false, "a value is missing"),
            ("ip saddr {", false, "a value is missing"),
            ("ip saddr { 1.2.3.4, }", false, "a value is missing"),
            (
                "ip saddr { 1.2.3.4 5.6.7.8 }",
                false,
                "\"5.6.7.8\" is not supported",
            ),
        ] {
            let error = Conditions::parse(&words(text), is_ipv6).unwrap_err();
            assert_eq!(error.problem, problem, "{text}");
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
        let many: Vec<_> = (0..40)
            .map(|number| format!("10.0.{number}.0/24"))
            .collect();
        let text = format!("ip saddr {{{}}}", many.join(","));
        let error = Conditions::parse(&[text], false).unwrap_err();
        assert_eq!(error.problem, "more than 200 bytes of values");
        let text = "iifname {a,b,c,d,e,f,g,h,i} iifname {a,b,c,d,e,f,g,h}";
        let error = Conditions::parse(&words(text), false).unwrap_err();
        assert_eq!(error.problem, "more than 64 combinations");
    }
}
