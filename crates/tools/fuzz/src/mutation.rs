//! Inputs that are nearly like others.

use std::fs;
use std::ops::Range;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;

use crate::targets::testdata;

/// The longest input, in bytes.
const LIMIT: usize = 4096;

/// Values that some number is not ready for.
const NUMBERS: [&str; 12] = [
    "",
    "0",
    "-1",
    "00",
    "0.5",
    "1e999",
    "33",
    "129",
    "256",
    "65536",
    "4294967296",
    "18446744073709551616",
];

/// Changes inputs at random.
#[derive(Debug)]
pub struct Mutator {
    words: Vec<Vec<u8>>,
    inputs: Vec<Vec<u8>>,
    random: Rng,
}

impl Mutator {
    /// Starts from these inputs, and puts in parts of them and words of the dictionary. The same
    /// seed makes the same inputs.
    ///
    /// # Errors
    /// If the dictionary cannot be read.
    pub fn new(inputs: Vec<Vec<u8>>, seed: u64) -> Result<Self> {
        let words = words()?
            .into_iter()
            .chain(NUMBERS.map(|number| number.as_bytes().to_vec()));
        let (words, random) = (words.collect(), Rng::with_seed(seed));
        Ok(Self {
            words,
            inputs,
            random,
        })
    }

    /// Another input: mostly a little different from one of the first ones, sometimes much.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut bytes = self
            .random
            .choice(&self.inputs)
            .cloned()
            .unwrap_or_default();
        let most = 1 << self.random.u32(..4);
        for _ in 0..self.random.u32(1..=most) {
            self.change(&mut bytes);
        }
        bytes.truncate(LIMIT);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let random = &mut self.random;
        let place = random.usize(..=bytes.len());
        let span = place..(place + random.usize(..9)).min(bytes.len());
        let word = random.choice(&self.words).cloned().unwrap_or_default();
        let other = random.choice(&self.inputs).map_or(&[][..], Vec::as_slice);
        let (range, new) = match random.u8(..8) {
            0 => (span, vec![random.u8(..)]),
            1 => (span, vec![random.u8(b' '..=b'~')]),
            2 => (span, Vec::new()),
            3 => (place..place, word),
            4 => (span, word),
            5 => (token(bytes, place), word),
            // A part of its own again, as an element or a line that is there twice.
            6 => (place..place, part(bytes, random).to_vec()),
            _ => (place..place, part(other, random).to_vec()),
        };
        drop(bytes.splice(range, new));
    }
}

/// The word or number at a place.
fn token(bytes: &[u8], place: usize) -> Range<usize> {
    let (before, after) = bytes.split_at(place);
    let is_end = |byte: &u8| !byte.is_ascii_alphanumeric();
    let start = before.iter().rposition(is_end).map_or(0, |end| end + 1);
    let length = after.iter().position(is_end).unwrap_or(after.len());
    start..place + length
}

fn part<'a>(bytes: &'a [u8], random: &mut Rng) -> &'a [u8] {
    let start = random.usize(..=bytes.len());
    let end = (start + random.usize(..64)).min(bytes.len());
    bytes.get(start..end).unwrap_or_default()
}

/// The words in `testdata/fuzz/dictionary`, in the format of libFuzzer's and AFL's dictionaries: a
/// line each, in quotes and with `\\`, `\"` and `\xNN`.
fn words() -> Result<Vec<Vec<u8>>> {
    let file = testdata().join("dictionary");
    let text = fs::read_to_string(&file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words = lines.map(|line| word(line).with_context(|| format!("`{line}` is no word")));
    let words: Vec<_> = words.collect::<Result<_>>()?;
    ensure!(!words.is_empty(), "{} has no words", file.display());
    Ok(words)
}

fn word(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.strip_prefix('"')?.strip_suffix('"')?;
    let mut word = Vec::new();
    while let Some((before, after)) = rest.split_once('\\') {
        word.extend(before.bytes());
        let (byte, length) = match after.strip_prefix('x') {
            Some(digits) => (u8::from_str_radix(digits.get(..2)?, 16).ok()?, 3),
            None => (after.bytes().next()?, 1),
        };
        word.push(byte);
        rest = after.get(length..)?;
    }
    word.extend(rest.bytes());
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(start: &[u8], seed: u64) -> Vec<Vec<u8>> {
        let mut mutator = Mutator::new(vec![start.to_vec()], seed).unwrap();
        (0..500).map(|_| mutator.next_input()).collect()
    }

    #[test]
    fn a_seed_makes_the_same_inputs_again() {
        assert_eq!(many(b"{\"name\":\"n\"}", 1), many(b"{\"name\":\"n\"}", 1));
        assert_ne!(many(b"{\"name\":\"n\"}", 1), many(b"{\"name\":\"n\"}", 2));
    }

    #[test]
    fn inputs_may_be_empty_and_have_a_limit() {
        for start in [&[][..], &[b'a'; LIMIT]] {
            let inputs = many(start, 1);
            assert!(inputs.iter().any(|input| input != start));
            assert!(inputs.iter().all(|input| input.len() <= LIMIT));
        }
    }

    #[test]
    fn words_are_read() {
        let line = r#""\\u0000\x0d\x0a\"a""#;
        assert_eq!(word(line).unwrap(), b"\\u0000\r\n\"a");
        assert_eq!(word("a"), None);
        assert!(words().unwrap().contains(&"ü".as_bytes().to_vec()));
    }
}
