use netlink::{Bytes, Reply, Request};
use netlink_packet_core::DecodeError;

use crate::attributes::{Attributes, find, read};
use crate::step::{Message, Step};
use crate::table::Set;

// linux/netfilter/nf_tables.h: NFTA_SET_ELEM_LIST_*, NFTA_LIST_*, NFTA_SET_ELEM_* and NFTA_DATA_*
const ELEMENTS: u16 = 3;
const ELEMENT: u16 = 1;
const KEY: u16 = 1;
const DATA: u16 = 2;
const NOTES: u16 = 6;
const VALUE: u16 = 1;

/// The note of `nft`'s that is a comment.
const COMMENT: u8 = 0;

/// The length of what precedes a message's attributes (`struct nfgenmsg`).
pub(crate) const HEADER: usize = 4;

/// An element by its place: a set and a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Element {
    pub(crate) set: Set,
    pub(crate) key: Vec<u8>,
}

/// An element as the kernel tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) key: Vec<u8>,
    /// Empty if the set is no map.
    pub(crate) data: Vec<u8>,
    /// What `nft` shows as its comment; empty if there is none.
    pub(crate) comment: String,
}

impl Element {
    /// Adds it, with data if the set is a map, and a comment of at most 127 bytes.
    pub(crate) fn add(&self, data: Option<&[u8]>, comment: &str) -> Step {
        let mut element = Attributes::new().nest(KEY, Attributes::new().bytes(VALUE, &self.key));
        if let Some(data) = data {
            element = element.nest(DATA, Attributes::new().bytes(VALUE, data));
        }
        let mut notes = vec![COMMENT, (comment.len() + 1) as u8];
        notes.extend(comment.as_bytes());
        notes.push(0);
        let element = element.bytes(NOTES, &notes);
        let what = format!("add an element to set {}", self.set);
        Message::NewElement.step(self.set.table, what, self.attributes(element))
    }

    /// Removes it.
    pub(crate) fn delete(&self) -> Step {
        let what = format!("remove an element of set {}", self.set);
        Message::DeleteElement.step(self.set.table, what, self.attributes(self.as_key()))
    }

    /// Asks for it.
    pub(crate) fn find(&self) -> Request<Bytes> {
        let what = format!("find an element of set {}", self.set);
        Message::GetElement.request(
            self.set.table.family(),
            what,
            self.attributes(self.as_key()),
        )
    }

    fn as_key(&self) -> Attributes {
        Attributes::new().nest(KEY, Attributes::new().bytes(VALUE, &self.key))
    }

    fn attributes(&self, element: Attributes) -> Attributes {
        let list = Attributes::new().nest(ELEMENT, element);
        self.set.attributes().nest(ELEMENTS, list)
    }
}

impl Set {
    /// Asks for all elements.
    pub(crate) fn list(self) -> Request<Bytes> {
        let what = format!("list set {self}");
        Message::GetElement.request(self.table.family(), what, self.attributes())
    }
}

impl Found {
    /// The elements in a message; none if it is about something else.
    pub(crate) fn read_all(reply: &Reply<'_>) -> Result<Vec<Self>, DecodeError> {
        if reply.message_type != Message::NewElement.number() {
            return Ok(Vec::new());
        }
        let attributes = reply.payload.get(HEADER..).unwrap_or_default();
        read(find(attributes, ELEMENTS)?)
            .map(|element| Self::read(element?.1))
            .collect()
    }

    fn read(element: &[u8]) -> Result<Self, DecodeError> {
        let value = |number| -> Result<Vec<u8>, DecodeError> {
            Ok(find(find(element, number)?, VALUE)?.to_vec())
        };
        Ok(Self {
            key: value(KEY)?,
            data: value(DATA)?,
            comment: comment_in(find(element, NOTES)?).unwrap_or_default(),
        })
    }
}

/// The comment among an element's or a rule's notes: each is a number, a length and as many bytes.
pub(crate) fn comment_in(mut notes: &[u8]) -> Option<String> {
    while let [number, length, rest @ ..] = notes {
        let (value, others) = rest.split_at_checked(usize::from(*length))?;
        if *number == COMMENT {
            let text = value.strip_suffix(&[0]).unwrap_or(value);
            return String::from_utf8(text.to_vec()).ok();
        }
        notes = others;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_among_other_notes() {
        let notes = b"\x01\x04\0\0\0\0\x00\x03hi\0\x07\x01x";
        assert_eq!(comment_in(notes).as_deref(), Some("hi"));
        for length in 0..10 {
            assert_eq!(comment_in(&notes[..length]), None);
        }
        assert_eq!(comment_in(b"\x00\x00").as_deref(), Some(""));
        assert_eq!(comment_in(b"\x00\x01\xff"), None);
    }
}
