use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

use super::entries::Entries;

/// JSON that cannot be read, or does not have the shape that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// Where it is: `ipam.ranges[0][1].subnet`; empty for the whole document.
    path: String,
    message: String,
}

impl DecodeError {
    /// An error at a key of the document, in the form `ipam.ranges[0]`.
    pub fn at(path: impl Into<String>, message: impl fmt::Display) -> Self {
        Self {
            path: path.into(),
            message: message.to_string(),
        }
    }

    /// Where in the document the error is, in the form `ipam.ranges[0][1].subnet`; empty for the document itself.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same error, seen from the object or array around it: `inside("ipam")` of `routes[0]` is `ipam.routes[0]`.
    pub fn inside(mut self, outer: &str) -> Self {
        let separator = match self.path.chars().next() {
            None | Some('[') => "",
            Some(_) => ".",
        };
        self.path = format!("{outer}{separator}{}", self.path);
        self
    }

    /// The error of a part of the document: the position that serde_json adds counts from that part's start, which
    /// nobody can see, and is dropped.
    fn of_part(error: &serde_json::Error) -> Self {
        let message = error.to_string();
        let position = format!(" at line {} column {}", error.line(), error.column());
        Self {
            path: String::new(),
            message: message
                .strip_suffix(&position)
                .unwrap_or(&message)
                .to_owned(),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::at("", message)
    }
}

/// Decodes a document, which must be UTF-8.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        DecodeError::at("", format!("not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    from_str(text)
}

/// Decodes a document: keys without regard to case, the last of several that fit, `null` as if it were not there.
pub fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, DecodeError> {
    if text.trim_ascii().is_empty() {
        return Err(DecodeError::at("", "empty: a JSON object is expected"));
    }
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|error| DecodeError::at("", error.to_string()))?;
    T::deserialize(Node { raw: raw.get() })
}

/// A syntactically valid part of the document, with no white space around it.
#[derive(Clone, Copy)]
struct Node<'de> {
    raw: &'de str,
}

impl<'de> Node<'de> {
    /// Reads this part with serde_json's own rules.
    fn plain<T>(
        self,
        read: impl FnOnce(
            &mut serde_json::Deserializer<serde_json::de::StrRead<'de>>,
        ) -> serde_json::Result<T>,
    ) -> Result<T, DecodeError> {
        read(&mut serde_json::Deserializer::from_str(self.raw))
            .map_err(|error| DecodeError::of_part(&error))
    }

    fn is_object(self) -> bool {
        self.raw.starts_with('{')
    }

    fn is_array(self) -> bool {
        self.raw.starts_with('[')
    }

    fn is_null(self) -> bool {
        self.raw == "null"
    }

    fn kind(self) -> &'static str {
        match self.raw.as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.is_array() {
            self.deserialize_seq(visitor)
        } else if self.is_object() {
            self.deserialize_map(visitor)
        } else {
            self.plain(|json| json.deserialize_any(visitor))
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        // `RawValue` makes itself known to serde_json by a reserved name.
        if name.starts_with("$serde_json") {
            self.plain(|json| json.deserialize_newtype_struct(name, visitor))
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        // Serde's structs would also take an array of their fields' values.
        if !self.is_object() {
            return Err(DecodeError::at(
                "",
                format!("an object is expected, not {}", self.kind()),
            ));
        }
        let Entries(entries) = self.plain(|json| Entries::deserialize(json))?;
        visitor.visit_map(FieldAccess::new(fields, &entries))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if !self.is_object() {
            return self.plain(|json| json.deserialize_map(visitor));
        }
        let Entries(entries) = self.plain(|json| Entries::deserialize(json))?;
        visitor.visit_map(EntryAccess {
            rest: entries.into_iter(),
            value: None,
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if !self.is_array() {
            return self.plain(|json| json.deserialize_seq(visitor));
        }
        let elements: Vec<&'de RawValue> = self.plain(|json| Vec::deserialize(json))?;
        visitor.visit_seq(ElementAccess {
            rest: elements.into_iter().enumerate(),
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.plain(|json| json.deserialize_enum(name, variants, visitor))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        tuple tuple_struct identifier
    }
}

/// Hands a struct its fields: each at most once, under the name that it knows.
struct FieldAccess<'de> {
    rest: std::vec::IntoIter<(&'static str, Node<'de>)>,
    value: Option<(&'static str, Node<'de>)>,
}

impl<'de> FieldAccess<'de> {
    fn new(fields: &'static [&'static str], entries: &[(Cow<'de, str>, &'de RawValue)]) -> Self {
        let mut found: Vec<(&'static str, Node<'de>)> = Vec::with_capacity(fields.len());
        for (key, value) in entries {
            let node = Node { raw: value.get() };
            let exact = fields.iter().find(|field| **field == key.as_ref());
            let folded = || fields.iter().find(|field| field.eq_ignore_ascii_case(key));
            let Some(field) = exact.or_else(folded) else {
                continue;
            };
            if node.is_null() {
                continue;
            }
            match found.iter_mut().find(|(name, _)| name == field) {
                Some((_, earlier)) => *earlier = node,
                None => found.push((field, node)),
            }
        }
        Self {
            rest: found.into_iter(),
            value: None,
        }
    }
}

impl<'de> de::MapAccess<'de> for FieldAccess<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        self.value = self.rest.next();
        self.value
            .map(|(field, _)| seed.deserialize(field.into_deserializer()))
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let (field, node) = self
            .value
            .take()
            .ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        seed.deserialize(node).map_err(|error| error.inside(field))
    }
}

/// Hands out all entries of an object as they are.
struct EntryAccess<'de> {
    rest: std::vec::IntoIter<(Cow<'de, str>, &'de RawValue)>,
    value: Option<(Cow<'de, str>, &'de RawValue)>,
}

impl<'de> de::MapAccess<'de> for EntryAccess<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        self.value = self.rest.next();
        match &self.value {
            None => Ok(None),
            Some((Cow::Borrowed(key), _)) => seed
                .deserialize(BorrowedStrDeserializer::new(key))
                .map(Some),
            Some((Cow::Owned(key), _)) => {
                seed.deserialize(key.as_str().into_deserializer()).map(Some)
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let (key, value) = self
            .value
            .take()
            .ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        seed.deserialize(Node { raw: value.get() })
            .map_err(|error| error.inside(&key))
    }
}

/// Hands out the elements of an array.
struct ElementAccess<'de> {
    rest: std::iter::Enumerate<std::vec::IntoIter<&'de RawValue>>,
}

impl<'de> de::SeqAccess<'de> for ElementAccess<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some((index, value)) = self.rest.next() else {
            return Ok(None);
        };
        seed.deserialize(Node { raw: value.get() })
            .map(Some)
            .map_err(|error| error.inside(&format!("[{index}]")))
    }
}

#[cfg(test)]
mod tests;
