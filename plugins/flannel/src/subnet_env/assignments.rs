//! The assignments in a file that is read as a shell reads it: with comments, `export`, quotes and
//! several assignments per line. Pure.

use std::fmt;

use cni_types::Quoted;

use super::Problem;

/// The keys that flanneld writes.
pub(super) const KEYS: [&str; 6] = [
    "FLANNEL_NETWORK",
    "FLANNEL_SUBNET",
    "FLANNEL_IPV6_NETWORK",
    "FLANNEL_IPV6_SUBNET",
    "FLANNEL_MTU",
    "FLANNEL_IPMASQ",
];

/// Something in a file that is not one of flanneld's assignments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PassedOver {
    /// A word on a line, by its number.
    NoAssignment(usize, String),
    /// The end of a line, by its number.
    OpenQuote(usize),
    /// This many NUL bytes at the end, left by a power cut or an editor.
    Nuls(usize),
    /// A value that counts as `false`.
    Masquerading(String),
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAssignment(line, word) => {
                let word = Quoted(word);
                write!(
                    f,
                    "line {line}: {word} is passed over: it is no assignment of the form KEY=value"
                )
            }
            Self::OpenQuote(line) => write!(
                f,
                "line {line} is passed over: a quote is not closed, or a backslash ends the line"
            ),
            Self::Nuls(count) => write!(f, "{count} NUL bytes at the end are passed over"),
            Self::Masquerading(value) => {
                let value = Quoted(value);
                write!(
                    f,
                    "FLANNEL_IPMASQ: {value} is taken for false: it is neither true, yes nor 1"
                )
            }
        }
    }
}

/// The contents of a file.
#[derive(Debug, Default)]
pub(super) struct Assignments<'a> {
    /// The assignments to flanneld's keys, in the file's order.
    of_flanneld: Vec<(&'static str, Value)>,
    pub(super) passed_over: Vec<PassedOver>,
    contents: &'a [u8],
}

/// A value as a shell would assign it, without its quotes.
#[derive(Debug)]
struct Value {
    bytes: Vec<u8>,
    /// The offset of its line, in bytes.
    line_start: usize,
    line_length: usize,
}

impl<'a> Assignments<'a> {
    /// Finds the assignments in a file's contents.
    ///
    /// # Errors
    /// [`Problem::NoAssignment`] and [`Problem::OpenQuote`] on a line that assigns to one of
    /// flanneld's keys: the value might be wrong.
    pub(super) fn of(contents: &'a [u8]) -> Result<Self, Problem> {
        let text = without_nuls(contents);
        let mut found = Self {
            contents: text,
            ..Self::default()
        };
        let mut line_start = 0;
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            found.read_line(number, line_start, line)?;
            line_start += line.len() + 1;
        }
        if text.len() < contents.len() {
            let nuls = PassedOver::Nuls(contents.len() - text.len());
            found.passed_over.push(nuls);
        }
        Ok(found)
    }

    fn read_line(&mut self, number: usize, line_start: usize, line: &[u8]) -> Result<(), Problem> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut words = shlex::bytes::Shlex::new(line);
        let (mut stray, mut is_flannelds) = (Vec::new(), false);
        for word in &mut words {
            let key = word.split(|byte| *byte == b'=').next().unwrap_or_default();
            if key.len() == word.len() || !is_name(key) {
                if word != b"export" {
                    stray.push(String::from_utf8_lossy(&word).into_owned());
                }
            } else if let Some(known) = KEYS.into_iter().find(|known| known.as_bytes() == key) {
                is_flannelds = true;
                let value = Value {
                    bytes: word.iter().skip(key.len() + 1).copied().collect(),
                    line_start,
                    line_length: line.len(),
                };
                self.of_flanneld.push((known, value));
            }
        }
        if words.had_error {
            if mentions_a_key(line) {
                return Err(Problem::OpenQuote(number));
            }
            self.passed_over.push(PassedOver::OpenQuote(number));
        }
        for word in stray {
            if is_flannelds {
                return Err(Problem::NoAssignment { line: number, word });
            }
            self.passed_over
                .push(PassedOver::NoAssignment(number, word));
        }
        Ok(())
    }

    /// The last value of a key; an empty one counts as unset.
    ///
    /// # Errors
    /// [`Problem::NotText`].
    pub(super) fn value(&self, key: &str) -> Result<Option<&str>, Problem> {
        let value = self.last(key)?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// As [`Assignments::value`], but includes an empty value.
    pub(super) fn last(&self, key: &str) -> Result<Option<&str>, Problem> {
        let mut assigned = self.of_flanneld.iter().rev();
        let Some((_, value)) = assigned.find(|(name, _)| *name == key) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&value.bytes);
        text.map(Some).map_err(|_| {
            let line = self.contents.get(value.line_start..).unwrap_or_default();
            let line = line.get(..value.line_length).unwrap_or_default();
            let valid =
                std::str::from_utf8(line).map_or_else(|error| error.valid_up_to(), str::len);
            Problem::NotText(value.line_start + valid)
        })
    }

    /// Whether a key's last assignment is on the file's last line, and that line has no newline.
    pub(super) fn is_cut_off(&self, key: &str) -> bool {
        let last = self.of_flanneld.last();
        is_cut_off(self.contents)
            && last.is_some_and(|(name, value)| {
                let end = value.line_start + value.line_length;
                *name == key && end >= self.contents.len()
            })
    }

    /// The words of the file that contain one of these keys, but no assignment.
    pub(super) fn mention_of(&self, keys: &[&str]) -> Option<Problem> {
        self.passed_over
            .iter()
            .find_map(|passed_over| match passed_over {
                PassedOver::NoAssignment(line, word) if keys.contains(&word.as_str()) => {
                    Some(Problem::NoAssignment {
                        line: *line,
                        word: word.clone(),
                    })
                }
                _ => None,
            })
    }
}

/// Whether a file's last line has no newline, for example because another process is writing it.
pub(super) fn is_cut_off(contents: &[u8]) -> bool {
    without_nuls(contents).last() != Some(&b'\n')
}

fn without_nuls(contents: &[u8]) -> &[u8] {
    let nuls = contents.iter().rev().take_while(|byte| **byte == 0).count();
    contents.get(..contents.len() - nuls).unwrap_or_default()
}

/// Whether an assignment to one of flanneld's keys may be on a line.
fn mentions_a_key(line: &[u8]) -> bool {
    KEYS.iter()
        .any(|key| line.windows(key.len()).any(|part| part == key.as_bytes()))
}

/// Whether this is a name of a variable to a shell.
fn is_name(text: &[u8]) -> bool {
    let is_in_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    text.first().is_some_and(|first| !first.is_ascii_digit()) && text.iter().all(is_in_name)
}
