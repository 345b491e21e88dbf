//! The conditions of a network: a subset of the words of iptables.

use std::fmt;

use ipnetwork::IpNetwork;

/// Conditions as arguments of iptables, each of which was checked, with a blank at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IptablesConditions(String);

/// Arguments of iptables that are not supported as conditions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{problem} in {words:?}: supported are \"-s\", \"-d\" and \"-i\", each with \"!\" before it, and \
    \"-m set --match-set\""
)]
pub struct UnsupportedIptablesConditions {
    /// The unsupported or missing argument.
    pub problem: String,
    /// All of the arguments.
    pub words: String,
}

impl IptablesConditions {
    /// Reads the words of a network's conditions for IPv4 or IPv6.
    ///
    /// # Errors
    /// [`UnsupportedIptablesConditions`] for anything but matches of addresses, incoming interfaces
    /// and sets.
    pub fn parse(words: &[String], is_ipv6: bool) -> Result<Self, UnsupportedIptablesConditions> {
        let whole = words.join(" ");
        let refused = |word: Option<&str>| UnsupportedIptablesConditions {
            problem: match word {
                Some(word) => format!("{word:?} is not supported"),
                None => "a value is missing".to_owned(),
            },
            words: whole.clone(),
        };
        let tokens: Vec<&str> = whole.split_whitespace().collect();
        let mut rest = tokens.as_slice();
        let mut text = String::new();
        while let [first, others @ ..] = rest {
            let (is_negated, words) = match *first {
                "!" => (true, others),
                _ => (false, rest),
            };
            let not = if is_negated { "! " } else { "" };
            let (one, left) = match words {
                ["-s" | "--source" | "--src", value, left @ ..] => {
                    (address("-s", value, is_ipv6), left)
                }
                ["-d" | "--destination" | "--dst", value, left @ ..] => {
                    (address("-d", value, is_ipv6), left)
                }
                ["-i" | "--in-interface", value, left @ ..] => {
                    let is_own = value.len() < 16 && is_plain(value.trim_end_matches('+'));
                    (is_own.then(|| format!("-i {value}")).ok_or(*value), left)
                }
                ["-m", "set", left @ ..] if !is_negated && !left.is_empty() => {
                    (Ok("-m set".to_owned()), left)
                }
                ["--match-set", name, directions, left @ ..] => {
                    let mut directions_of = directions.split(',');
                    let is_own = directions_of.all(|it| ["src", "dst"].contains(&it));
                    let word = match (is_plain(name), is_own) {
                        (true, true) => Ok(format!("--match-set {name} {directions}")),
                        (true, false) => Err(*directions),
                        (false, _) => Err(*name),
                    };
                    (word, left)
                }
                [word] if word.starts_with('-') && is_known(word) => return Err(refused(None)),
                [word, ..] => return Err(refused(Some(word))),
                [] => return Err(refused(None)),
            };
            let one = one.map_err(|word| refused(Some(word)))?;
            text.push_str(&format!("{not}{one} "));
            rest = left;
        }
        Ok(Self(text))
    }
}

fn is_known(word: &str) -> bool {
    let known = [
        "-s",
        "--source",
        "--src",
        "-d",
        "--destination",
        "--dst",
        "-i",
    ];
    known.contains(&word) || ["--in-interface", "--match-set", "-m"].contains(&word)
}

fn address<'a>(option: &str, value: &'a str, is_ipv6: bool) -> Result<String, &'a str> {
    let network: Result<IpNetwork, _> = value.parse();
    match network {
        Ok(network) if network.is_ipv6() == is_ipv6 => Ok(format!(
            "{option} {}/{}",
            network.network(),
            network.prefix()
        )),
        _ => Err(value),
    }
}

fn is_plain(name: &str) -> bool {
    let is_own = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.chars().all(is_own)
}

impl fmt::Display for IptablesConditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, is_ipv6: bool) -> Result<String, String> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let parsed = IptablesConditions::parse(&words, is_ipv6);
        parsed
            .map(|it| it.to_string())
            .map_err(|error| error.problem)
    }

    #[test]
    fn words_that_are_supported() {
        for (text, is_ipv6, expected) in [
            ("", false, ""),
            ("! -d 192.0.2.0/24", false, "! -d 192.0.2.0/24 "),
            ("--src 10.1.2.3/8 -i eth+", false, "-s 10.0.0.0/8 -i eth+ "),
            (
                "-m set ! --match-set mine src,dst",
                false,
                "-m set ! --match-set mine src,dst ",
            ),
            ("-s fd00::1", true, "-s fd00::1/128 "),
        ] {
            assert_eq!(parse(text, is_ipv6).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn words_that_are_not() {
        for (text, is_ipv6, problem) in [
            ("-j ACCEPT", false, "\"-j\" is not supported"),
            ("-s 10.0.0.0/8 -p tcp", false, "\"-p\" is not supported"),
            ("-s ::1", false, "\"::1\" is not supported"),
            ("-i a;b", false, "\"a;b\" is not supported"),
            ("-m comment", false, "\"-m\" is not supported"),
            ("--match-set mine both", false, "\"both\" is not supported"),
            ("ip saddr 10.0.0.0/8", false, "\"ip\" is not supported"),
            ("-s", false, "a value is missing"),
            ("!", false, "a value is missing"),
        ] {
            assert_eq!(parse(text, is_ipv6), Err(problem.to_owned()), "{text}");
        }
    }
}
