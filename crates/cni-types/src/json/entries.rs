//! An object that was split into keys and undecoded values.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::value::RawValue;

use super::decode::check;
use super::node::{Fields, Node, is_object};
use super::{DecodeError, Object};

/// The entries of an object in their order: each key, and its value as it was written.
///
/// The text was scanned once, and its syntax is valid. Whoever decodes a value reads that value
/// only. Lookups have Go's rules: case does not count, the last of several values counts, and
/// `null` means that there is none.
#[derive(Clone, Debug, Default)]
pub struct Entries<'de>(Vec<(Cow<'de, str>, &'de str)>);

impl<'de> Entries<'de> {
    /// Splits a document, which must be an object.
    ///
    /// # Errors
    /// [`DecodeError`] for text that is not JSON, or any other value.
    pub fn parse(text: &'de str) -> Result<Self, DecodeError> {
        if !is_object(text) {
            let raw = check(text)?.get();
            return Err(Node { raw }.not_an_object());
        }
        serde_json::from_str(text).map_err(|error| DecodeError::of_document(&error))
    }

    /// Splits an object inside a document whose syntax is valid.
    pub(super) fn of_part(raw: &'de str) -> Result<Self, DecodeError> {
        serde_json::from_str(raw).map_err(|error| DecodeError::of_part(&error))
    }

    /// Whether there is a value other than `null` under a key.
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Whether the key is present, even with the value `null`.
    pub fn has_key(&self, key: &str) -> bool {
        self.iter().any(|(name, _)| name.eq_ignore_ascii_case(key))
    }

    /// Decodes the values of a struct's fields.
    ///
    /// # Errors
    /// [`DecodeError`] for the first value that has not the shape of its field.
    pub fn decode<T: Deserialize<'de>>(&self) -> Result<T, DecodeError> {
        T::deserialize(Fields(self))
    }

    /// Decodes the value under a key; `None` if there is none.
    ///
    /// # Errors
    /// [`DecodeError`] for a value that has not the shape of `T`.
    pub fn value<T: Deserialize<'de>>(&self, key: &str) -> Result<Option<T>, DecodeError> {
        self.find(key)
            .map(T::deserialize)
            .transpose()
            .map_err(|error| error.inside(key))
    }

    /// Splits the object under a key; `None` if there is no value.
    ///
    /// # Errors
    /// [`DecodeError`] for any other value.
    pub fn section(&self, key: &str) -> Result<Option<Self>, DecodeError> {
        let Some(node) = self.find(key) else {
            return Ok(None);
        };
        let section = if is_object(node.raw) {
            Self::of_part(node.raw)
        } else {
            Err(node.not_an_object())
        };
        section.map(Some).map_err(|error| error.inside(key))
    }

    /// A copy to change and to pass on.
    pub(crate) fn to_object(&self) -> Result<Object, DecodeError> {
        self.decode()
    }

    /// The keys and the JSON of their values.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &'de str)> {
        self.0.iter().map(|(key, raw)| (key.as_ref(), *raw))
    }

    fn find(&self, key: &str) -> Option<Node<'de>> {
        self.iter()
            .rev()
            .filter(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, raw)| Node { raw })
            .find(|node| !node.is_null())
    }
}

impl<'de> IntoIterator for Entries<'de> {
    type Item = (Cow<'de, str>, &'de str);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<_, &RawValue>()? {
                    entries.push((key, value.get()));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// A key that is borrowed from the document where it has no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Entries<'_> {
        Entries::parse(text).unwrap()
    }

    #[test]
    fn a_value_is_found_without_regard_to_case_and_the_last_one_counts() {
        let entries = entries(r#" {"MTU":1400,"other":[1],"mtu":1300,"Mtu":null} "#);
        assert_eq!(entries.value("mtu"), Ok(Some(1300)));
        assert_eq!(entries.value::<Vec<u32>>("OTHER"), Ok(Some(vec![1])));
        assert_eq!(entries.value::<u32>("absent"), Ok(None));
        assert!(entries.contains("mTU") && !entries.contains("mt"));
    }

    #[test]
    fn null_is_a_key_without_a_value() {
        let entries = entries(r#"{"mtu":null}"#);
        assert_eq!(entries.value::<u32>("mtu"), Ok(None));
        assert!(entries.has_key("Mtu") && !entries.contains("mtu"));
    }

    #[test]
    fn sections_are_objects() {
        let entries = entries(r#"{"ipam":{"Type":"x","type":5},"args":[],"none":null}"#);
        let ipam = entries.section("IPAM").unwrap().unwrap();
        assert_eq!(ipam.value("type"), Ok(Some(5)));
        assert!(entries.section("none").unwrap().is_none());
        assert_eq!(
            entries.section("args").unwrap_err().to_string(),
            "args: an object is expected, not an array"
        );
    }

    #[test]
    fn a_document_is_an_object() {
        for (text, message) in [
            ("", "empty: a JSON object is expected"),
            ("7", "an object is expected, not a number"),
            ("nul", "EOF while parsing a value at line 1 column 3"),
            (r#"{"a":1}}"#, "trailing characters at line 1 column 8"),
            (r#"{"a":01}"#, "invalid number at line 1 column 7"),
        ] {
            assert_eq!(Entries::parse(text).unwrap_err().to_string(), message);
        }
    }
}
