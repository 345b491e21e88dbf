//! Values of a document as serde's `Deserializer`s, with Go's rules for the keys of structs.

use std::borrow::Cow;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

use super::{DecodeError, Entries};

/// A syntactically valid value of the document, without white space around it.
#[derive(Clone, Copy)]
pub(super) struct Node<'de> {
    pub(super) raw: &'de str,
}

/// Whether a text starts an object, after white space.
pub(super) fn is_object(text: &str) -> bool {
    super::decode::without_space(text).starts_with('{')
}

impl<'de> Node<'de> {
    /// Reads the value with serde_json's own rules.
    fn plain<T>(
        self,
        read: impl FnOnce(
            &mut serde_json::Deserializer<serde_json::de::StrRead<'de>>,
        ) -> serde_json::Result<T>,
    ) -> Result<T, DecodeError> {
        read(&mut serde_json::Deserializer::from_str(self.raw))
            .map_err(|error| DecodeError::of_part(&error))
    }

    /// Splits an object; `None` for any other value.
    fn split(self) -> Result<Option<Split<'de>>, DecodeError> {
        if !is_object(self.raw) {
            return Ok(None);
        }
        let entries = Entries::of_part(self.raw)?;
        let raw = self.raw;
        Ok(Some(Split { raw, entries }))
    }

    fn is_array(self) -> bool {
        self.raw.starts_with('[')
    }

    pub(super) fn is_null(self) -> bool {
        self.raw == "null"
    }

    /// The error for a value that should be an object.
    pub(super) fn not_an_object(self) -> DecodeError {
        let kind = match self.raw.as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        };
        DecodeError::at("", format!("an object is expected, not {kind}"))
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.is_array() {
            return self.deserialize_seq(visitor);
        }
        match self.split()? {
            Some(split) => split.deserialize_map(visitor),
            None => self.plain(|json| json.deserialize_any(visitor)),
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
        if is_raw_value(name) {
            visitor.visit_map(RawAccess {
                token: Some(name),
                raw: self.raw,
            })
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        // Serde's structs would also take an array of their fields' values.
        match self.split()? {
            Some(split) => split.deserialize_struct(name, fields, visitor),
            None => Err(self.not_an_object()),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.split()? {
            Some(split) => split.deserialize_map(visitor),
            None => self.plain(|json| json.deserialize_map(visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if !self.is_array() {
            return self.plain(|json| json.deserialize_seq(visitor));
        }
        let elements: Vec<&'de RawValue> =
            self.plain(|json| serde::Deserialize::deserialize(json))?;
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
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct identifier
    }
}

/// An object of the document, which was split already.
pub(super) struct Split<'de> {
    pub(super) raw: &'de str,
    pub(super) entries: Entries<'de>,
}

impl<'de> Deserializer<'de> for Split<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_map(EntryAccess {
            rest: self.entries.into_iter(),
            value: None,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_map(FieldAccess::new(fields, &self.entries))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if is_raw_value(name) {
            Node { raw: self.raw }.deserialize_newtype_struct(name, visitor)
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        Node { raw: self.raw }.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The fields of a struct that are in an object, as a deserializer of that struct only.
pub(super) struct Fields<'a, 'de>(pub(super) &'a Entries<'de>);

impl<'de> Deserializer<'de> for Fields<'_, 'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_map(EntryAccess {
            rest: self.0.clone().into_iter(),
            value: None,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_map(FieldAccess::new(fields, self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Hands a struct its fields: each at most once, under the name that the struct knows.
struct FieldAccess<'de> {
    rest: std::vec::IntoIter<(&'static str, Node<'de>)>,
    value: Option<(&'static str, Node<'de>)>,
}

impl<'de> FieldAccess<'de> {
    fn new(fields: &'static [&'static str], entries: &Entries<'de>) -> Self {
        let mut found: Vec<(&'static str, Node<'de>)> = Vec::with_capacity(fields.len());
        for (key, raw) in entries.iter() {
            let node = Node { raw };
            let exact = fields.iter().find(|field| **field == key);
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
        let (field, node) = self.value.take().ok_or_else(value_before_key)?;
        seed.deserialize(node).map_err(|error| error.inside(field))
    }
}

/// Hands out all entries of an object as they are.
struct EntryAccess<'de> {
    rest: std::vec::IntoIter<(Cow<'de, str>, &'de str)>,
    value: Option<(Cow<'de, str>, &'de str)>,
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
        let (key, raw) = self.value.take().ok_or_else(value_before_key)?;
        seed.deserialize(Node { raw })
            .map_err(|error| error.inside(&key))
    }
}

fn value_before_key() -> DecodeError {
    de::Error::custom("a value was asked for before its key")
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

/// `RawValue` identifies itself by a reserved struct name, and accepts a map from that name to its
/// text.
fn is_raw_value(name: &str) -> bool {
    name.starts_with("$serde_json")
}

/// Hands a `RawValue` its text, which needs no scan.
struct RawAccess<'de> {
    token: Option<&'static str>,
    raw: &'de str,
}

impl<'de> de::MapAccess<'de> for RawAccess<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        self.token
            .take()
            .map(|token| seed.deserialize(BorrowedStrDeserializer::new(token)))
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        seed.deserialize(BorrowedStrDeserializer::new(self.raw))
    }
}
