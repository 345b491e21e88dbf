//! Elements of sets and maps: adding, deleting and finding them, and reading what the kernel lists.

use netlink::attributes::{Attributes, Malformed, find, read};
use netlink::{KernelMessage, KernelRequest};

use crate::edit::{Edit, Message};
use crate::kernel::Question;
use crate::nf_tables::{HEADER, LIST_ENTRY, TABLE, data, element, userdata};
use crate::table::Set;

/// The identity of an element: its set and its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Element {
    pub(crate) set: Set,
    pub(crate) key: Vec<u8>,
}

/// An element as the kernel lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListedElement {
    pub(crate) key: Vec<u8>,
    /// Empty if the set is no map.
    pub(crate) data: Vec<u8>,
    /// The comment that `nft` shows; empty if there is none.
    pub(crate) comment: String,
}

impl Element {
    /// Adds the element, with data if the set is a map, and a comment of at most 127 bytes.
    pub(crate) fn add(&self, data: Option<&[u8]>, comment: &str) -> Edit {
        let mut element = self.key_attribute();
        if let Some(data) = data {
            element = element.nest(element::DATA, value(data));
        }
        let mut entry = vec![userdata::COMMENT, (comment.len() + 1) as u8];
        entry.extend(comment.as_bytes());
        entry.push(0);
        let element = element.bytes(element::USERDATA, &entry);
        let what = format!("add an element to set {}", self.set);
        Message::NewElement.edit(self.set.table, what, self.attributes(element))
    }

    pub(crate) fn delete(&self) -> Edit {
        let what = format!("remove an element of set {}", self.set);
        let attributes = self.attributes(self.key_attribute());
        Message::DeleteElement.edit(self.set.table, what, attributes)
    }

    fn key_attribute(&self) -> Attributes {
        Attributes::new().nest(element::KEY, value(&self.key))
    }

    fn attributes(&self, element: Attributes) -> Attributes {
        let list = Attributes::new().nest(LIST_ENTRY, element);
        set_attributes(self.set).nest(element::ELEMENTS, list)
    }
}

impl Question for Element {
    type Answer = ListedElement;

    fn request(&self) -> KernelRequest {
        let what = format!("find an element of set {}", self.set);
        let attributes = self.attributes(self.key_attribute());
        Message::GetElement.request(self.set.table.family(), what, attributes)
    }

    fn read(&self, reply: &KernelMessage<'_>) -> Result<ListedElement, Malformed> {
        let elements = ListedElement::read_all(reply)?;
        Ok(elements.into_iter().next().unwrap_or_default())
    }
}

/// The question for all elements of a set.
pub(crate) fn list(set: Set) -> KernelRequest {
    let what = format!("list set {set}");
    Message::GetElement.request(set.table.family(), what, set_attributes(set))
}

fn set_attributes(set: Set) -> Attributes {
    Attributes::new()
        .text(TABLE, set.table.name())
        .text(element::SET, &set.kind.name())
}

fn value(bytes: &[u8]) -> Attributes {
    Attributes::new().bytes(data::VALUE, bytes)
}

impl ListedElement {
    /// The elements in a message; none if the message is about something else.
    pub(crate) fn read_all(reply: &KernelMessage<'_>) -> Result<Vec<Self>, Malformed> {
        if reply.message_type != Message::NewElement.number() {
            return Ok(Vec::new());
        }
        let attributes = reply.payload.get(HEADER..).unwrap_or_default();
        read(find(attributes, element::ELEMENTS)?)
            .map(|element| Self::read(element?.1))
            .collect()
    }

    fn read(element: &[u8]) -> Result<Self, Malformed> {
        let value = |kind| -> Result<Vec<u8>, Malformed> {
            Ok(find(find(element, kind)?, data::VALUE)?.to_vec())
        };
        Ok(Self {
            key: value(element::KEY)?,
            data: value(element::DATA)?,
            comment: comment_in(find(element, element::USERDATA)?).unwrap_or_default(),
        })
    }
}

/// The comment in the user data of an element or a rule.
pub(crate) fn comment_in(mut userdata: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = userdata {
        let (value, others) = rest.split_at_checked(usize::from(*length))?;
        if *kind == userdata::COMMENT {
            let text = value.strip_suffix(&[0]).unwrap_or(value);
            return String::from_utf8(text.to_vec()).ok();
        }
        userdata = others;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_is_found_among_other_user_data() {
        let userdata = b"\x01\x04\0\0\0\0\x00\x03hi\0\x07\x01x";
        assert_eq!(comment_in(userdata).as_deref(), Some("hi"));
        for length in 0..10 {
            assert_eq!(comment_in(&userdata[..length]), None);
        }
        assert_eq!(comment_in(b"\x00\x00").as_deref(), Some(""));
        assert_eq!(comment_in(b"\x00\x01\xff"), None);
    }
}
