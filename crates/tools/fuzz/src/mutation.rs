//! Inputs that are nearly like others.

use std::ops::Range;

use fastrand::Rng;

/// The longest input, in bytes.
const LIMIT: usize = 4096;

/// Values that some number is not ready for.
const NUMBERS: &[&str] = &[
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

/// Changes an input in a few places; `words` are put in, and `others` are inputs to take parts of.
pub(crate) fn mutate(
    input: &[u8],
    words: &[Vec<u8>],
    others: &[Vec<u8>],
    random: &mut Rng,
) -> Vec<u8> {
    let mut bytes = input.to_vec();
    // Mostly a little, sometimes much.
    let changes = 1 << random.u32(0..4);
    for _ in 0..random.u32(1..=changes) {
        change(&mut bytes, words, others, random);
    }
    bytes.truncate(LIMIT);
    bytes
}

fn change(bytes: &mut Vec<u8>, words: &[Vec<u8>], others: &[Vec<u8>], random: &mut Rng) {
    let place = random.usize(..=bytes.len());
    let span = place..(place + random.usize(..9)).min(bytes.len());
    match random.u8(..10) {
        0 => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << random.u8(..8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = random.u8(..);
            }
        }
        2 => drop(bytes.drain(span)),
        3 => drop(bytes.splice(span, [random.u8(b' '..=b'~')])),
        4 => insert(bytes, place, word(words, random)),
        5 => drop(bytes.splice(span, word(words, random).iter().copied())),
        6 => drop(bytes.splice(token(bytes, place), word(words, random).iter().copied())),
        7 => {
            let number = random.choice(NUMBERS).map_or("", |number| number);
            drop(bytes.splice(token(bytes, place), number.bytes()));
        }
        8 => {
            // A part of its own once more, as an element or a line that is there twice.
            let part = part(bytes, random).to_vec();
            insert(bytes, place, &part);
        }
        _ => {
            let Some(other) = random.choice(others) else {
                return;
            };
            let part = part(other, random);
            insert(bytes, place, part);
        }
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

fn insert(bytes: &mut Vec<u8>, place: usize, part: &[u8]) {
    bytes.splice(place..place, part.iter().copied());
}

fn word<'a>(words: &'a [Vec<u8>], random: &mut Rng) -> &'a [u8] {
    random.choice(words).map_or(b"", Vec::as_slice)
}

fn part<'a>(bytes: &'a [u8], random: &mut Rng) -> &'a [u8] {
    let start = random.usize(..=bytes.len());
    let end = (start + random.usize(..64)).min(bytes.len());
    bytes.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(seed: u64) -> Vec<Vec<u8>> {
        let mut random = Rng::with_seed(seed);
        let others = [b"other".to_vec()];
        let inputs = (0..500).map(|_| mutate(b"{\"name\":\"n\"}", &others, &others, &mut random));
        inputs.collect()
    }

    #[test]
    fn a_seed_gives_the_same_inputs_again_and_another_one_others() {
        assert_eq!(many(1), many(1));
        assert_ne!(many(1), many(2));
    }

    #[test]
    fn nothing_is_too_short_or_too_long_to_be_changed() {
        let mut random = Rng::with_seed(1);
        let mut input = Vec::new();
        for _ in 0..20_000 {
            input = mutate(&input, &[b"word".to_vec()], &[], &mut random);
            assert!(input.len() <= LIMIT);
        }
    }
}
