//! The owners of records and elements: the keys of records, and the comments.

use std::fmt;

use cni_types::{Attachment, NetworkName};
use hmac_sha512::Hash;

/// The longest comment that the program `nft` accepts, in bytes.
const LONGEST_COMMENT: usize = 127;

/// The largest number of grants of an attachment in one table: one per character for their numbers.
pub(crate) const MOST_GRANTS: usize = ALPHABET.len();

/// The largest number of records of an attachment in a table in which their numbers have [three
/// digits](PLACE_DIGITS).
pub(crate) const MOST_PLACES: usize = ALPHABET.len().pow(PLACE_DIGITS as u32);

/// The number of characters of a record's place in its key. The rest of the token distinguishes
/// attachments with 72 bits.
const PLACE_DIGITS: usize = 3;

const ALPHABET: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

/// The number of characters that identify a network or an attachment: as many as the name of an
/// interface can have, because nftables has no other type for texts.
const TOKEN: usize = 15;

/// The length of a [`RecordKey`]: two tokens, each with a null byte at its end.
const KEY: usize = 2 * (TOKEN + 1);

/// An attachment of a network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NetworkAttachment<'a> {
    pub(crate) network: &'a NetworkName,
    pub(crate) attachment: &'a Attachment,
}

/// The key of a record: a token for the network, and one for the attachment and the number of the
/// grant.
///
/// Tokens are digests, because names may be longer than a key of the kernel. With 90 and 84 bits,
/// they distinguish all attachments of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordKey([u8; KEY]);

impl NetworkAttachment<'_> {
    /// The key of the attachment's first record.
    pub(crate) fn key(&self) -> RecordKey {
        RecordKey::new(
            self.network.as_str(),
            self.attachment.container_id.as_str(),
            self.attachment.ifname.as_str(),
        )
    }

    /// The comment of a record: the attachment in words, as far as there is room.
    pub(crate) fn in_words(&self) -> String {
        let Attachment {
            container_id,
            ifname,
        } = self.attachment;
        let ifname: String = ifname
            .as_str()
            .chars()
            // These would end the comment in `nft list ruleset`, or its line.
            .map(|c| if c.is_control() || c == '"' { '?' } else { c })
            .collect();
        fit(format!("{ifname} of {container_id} in {}", self.network))
    }

    /// The comment of an element: the key of its record, and the attachment in words.
    pub(crate) fn comment(&self, key: RecordKey) -> String {
        comment(key, &self.in_words())
    }
}

/// The comment of an element that belongs to the record with this key and comment.
pub(crate) fn comment(key: RecordKey, in_words: &str) -> String {
    fit(format!("{key} {in_words}"))
}

/// The part of an element's comment after the key.
pub(crate) fn words_of(comment: &str) -> &str {
    comment.splitn(3, ' ').nth(2).unwrap_or_default()
}

fn fit(mut comment: String) -> String {
    comment.truncate(comment.floor_char_boundary(LONGEST_COMMENT));
    comment
}

impl RecordKey {
    /// The key of an attachment's first record.
    pub(crate) fn new(network: &str, container_id: &str, ifname: &str) -> Self {
        Self::of_network(network).with_attachment(container_id, ifname)
    }

    /// The part that all keys of a network share, with nothing after it.
    pub(crate) fn of_network(network: &str) -> Self {
        let mut key = [0; KEY];
        fill(key.split_at_mut(TOKEN + 1).0, network);
        Self(key)
    }

    /// The key of the first record of an attachment of the same network.
    pub(crate) fn with_attachment(mut self, container_id: &str, ifname: &str) -> Self {
        // Neither a container ID nor a network's name contains a slash.
        let name = format!("{container_id}/{ifname}");
        fill(self.0.split_at_mut(TOKEN + 1).1, &name);
        self.with_number(0)
    }

    /// The key of another record of the same attachment; numbers are below [`MOST_GRANTS`].
    pub(crate) fn with_number(mut self, number: usize) -> Self {
        let character = ALPHABET.get(number);
        if let (Some(last), Some(character)) = (self.0.get_mut(KEY - 2), character) {
            *last = *character;
        }
        self
    }

    /// The key of a record of the same attachment, where an attachment has many: at a place below
    /// [`MOST_PLACES`]. The first record is at place 0.
    pub(crate) fn with_place(mut self, place: usize) -> Self {
        let mut rest = place;
        for index in (KEY - 1 - PLACE_DIGITS..KEY - 1).rev() {
            let character = ALPHABET.get(rest % ALPHABET.len());
            if let (Some(digit), Some(character)) = (self.0.get_mut(index), character) {
                *digit = *character;
            }
            rest /= ALPHABET.len();
        }
        self
    }

    /// The place that [`RecordKey::with_place`] has put into the key.
    pub(crate) fn place(&self) -> Option<usize> {
        let digits = self.0.get(KEY - 1 - PLACE_DIGITS..KEY - 1)?;
        digits.iter().try_fold(0, |place, digit| {
            let value = ALPHABET.iter().position(|it| it == digit)?;
            Some(place * ALPHABET.len() + value)
        })
    }

    /// Whether both keys are of one network.
    pub(crate) fn is_of_same_network(&self, other: &Self) -> bool {
        self.0.get(..TOKEN) == other.0.get(..TOKEN)
    }

    /// The key of an element; `None` for the key of another program's element, which would change
    /// on its way through a comment.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let key: [u8; KEY] = bytes.try_into().ok()?;
        let mut halves = key.chunks_exact(TOKEN + 1).map(|half| half.split_at(TOKEN));
        halves
            .all(|(token, end)| token.iter().copied().all(is_character) && end == [0])
            .then_some(Self(key))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key at the start of an element's comment.
    pub(crate) fn of_comment(comment: &str) -> Option<Self> {
        let mut words = comment.split(' ');
        let mut key = [0; KEY];
        for half in key.chunks_exact_mut(TOKEN + 1) {
            let word = words.next()?.as_bytes();
            half.get_mut(..TOKEN)
                .filter(|half| half.len() == word.len())?
                .copy_from_slice(word);
        }
        Self::of_bytes(&key)
    }
}

/// Two words, as comments have them.
impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, half) in self.0.chunks_exact(TOKEN + 1).enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&String::from_utf8_lossy(
                half.get(..TOKEN).unwrap_or_default(),
            ))?;
        }
        Ok(())
    }
}

/// Whether a byte is in [`ALPHABET`].
fn is_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// A digest of a name, in characters.
pub(crate) fn token<const N: usize>(name: &str) -> [u8; N] {
    let mut token = [0; N];
    for (slot, byte) in token.iter_mut().zip(Hash::hash(name.as_bytes())) {
        if let Some(character) = ALPHABET.get(usize::from(byte % 64)) {
            *slot = *character;
        }
    }
    token
}

/// Fills half of a key with a token for a name. The last byte remains, the null byte at the end.
fn fill(half: &mut [u8], name: &str) {
    if let Some(characters) = half.get_mut(..TOKEN) {
        characters.copy_from_slice(&token::<TOKEN>(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(container_id: &str, ifname: &str) -> Attachment {
        Attachment {
            container_id: container_id.parse().unwrap(),
            ifname: ifname.parse().unwrap(),
        }
    }

    #[test]
    fn a_comment_leads_back_to_the_key() {
        let network = "cbr0".parse().unwrap();
        let attachment = attachment("c1", "eth0");
        let owner = NetworkAttachment {
            network: &network,
            attachment: &attachment,
        };
        let key = owner.key();
        let comment = owner.comment(key);
        assert_eq!(
            comment,
            "bKQLKqdISjINwxE DvNE14MkL6Q5oL0 eth0 of c1 in cbr0"
        );
        assert_eq!(RecordKey::of_comment(&comment), Some(key));
        assert_eq!(words_of(&comment), owner.in_words());
        assert_eq!(RecordKey::of_bytes(key.as_bytes()), Some(key));
        assert!(key.is_of_same_network(&RecordKey::of_network("cbr0")));
        assert!(!key.is_of_same_network(&RecordKey::of_network("cbr1")));
        for other in ["", " ", "a b", "eth0 of c1", &comment[1..], &comment[..30]] {
            assert_eq!(RecordKey::of_comment(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_key_of_another_program_is_none() {
        let key = RecordKey::new("cbr0", "c1", "eth0");
        let changed = |index: usize, byte: u8| {
            let mut bytes = *key.as_bytes().first_chunk::<KEY>().unwrap();
            bytes[index] = byte;
            RecordKey::of_bytes(&bytes)
        };
        assert_eq!(changed(0, b'_').unwrap().as_bytes()[0], b'_');
        for (index, byte) in [(0, 0), (3, b' '), (14, 0xc3), (15, b'd'), (31, 0x80)] {
            assert_eq!(changed(index, byte), None, "{byte} at {index}");
        }
        assert_eq!(RecordKey::of_bytes(&key.as_bytes()[1..]), None);
        let comment = key.to_string().replacen("bKQ", "b\u{e4}", 1);
        assert_eq!(RecordKey::of_comment(&comment), None);
    }

    #[test]
    fn a_key_has_a_place() {
        let first = RecordKey::new("cbr0", "c1", "eth0").with_place(0);
        for place in [0, 1, 63, 64, 4095, 4096, MOST_PLACES - 1] {
            let key = first.with_place(place);
            assert_eq!(key.place(), Some(place));
            assert_eq!(key.with_place(0), first);
            assert!(key.is_of_same_network(&first));
        }
    }

    // Of long names, the end distinguishes them in the key, and is cut off in the comment.
    #[test]
    fn names_of_any_length_have_different_keys() {
        let mut keys = Vec::new();
        let long = "n".repeat(300);
        let names = ["a", "b", "ab", &long, &format!("{long}x")];
        for network in names {
            for container_id in names {
                for ifname in ["a", "b", "ab", "\"ä\"", "eth0"] {
                    let network = network.parse().unwrap();
                    let attachment = attachment(container_id, ifname);
                    let owner = NetworkAttachment {
                        network: &network,
                        attachment: &attachment,
                    };
                    for number in [0, 1, MOST_GRANTS - 1] {
                        let key = owner.key().with_number(number);
                        let comment = owner.comment(key);
                        assert!(comment.len() <= LONGEST_COMMENT, "{comment:?}");
                        assert!(!comment.contains('"'), "{comment:?}");
                        assert_eq!(RecordKey::of_comment(&comment), Some(key));
                        keys.push(key);
                    }
                }
            }
        }
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
