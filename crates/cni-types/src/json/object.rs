//! An object to change and to pass on.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::DecodeError;
use super::node::Node;

/// A JSON object to pass on: keys, their order and their values stay as they were written.
///
/// Lookups disregard the case of keys, as the receiver of the object will. Two objects are equal if
/// they are the same JSON: the same keys in the same order, with the same text as values.
#[derive(Clone, Debug, Default)]
pub struct Object(Vec<(String, Box<RawValue>)>);

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.texts().eq(other.texts())
    }
}

impl Eq for Object {}

impl Object {
    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.0.iter();
        entries.map(|(key, value)| (key.as_str(), value.get()))
    }

    /// The JSON of the last value under a key that is not `null`, as [`Entries`](super::Entries)
    /// finds it; `None` if there is none.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.texts()
            .filter(|(name, value)| name.eq_ignore_ascii_case(key) && *value != "null")
            .last()
            .map(|(_, value)| value)
    }

    /// Whether there is a value other than `null` under a key.
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Decodes the value under a key with the rules of [`super::from_str`]; `None` if there is no
    /// value.
    ///
    /// # Errors
    /// [`DecodeError`] for a value that has not the shape of `T`.
    pub fn decode<'de, T: Deserialize<'de>>(
        &'de self,
        key: &str,
    ) -> Result<Option<T>, DecodeError> {
        self.get(key)
            .map(|raw| T::deserialize(Node { raw }))
            .transpose()
            .map_err(|error| error.inside(key))
    }

    /// Puts a value under a key, in the place of all values that are there.
    ///
    /// # Errors
    /// [`DecodeError`] for a value that JSON cannot express.
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), DecodeError> {
        let value =
            serde_json::value::to_raw_value(value).map_err(|error| DecodeError::at(key, error))?;
        self.remove(key);
        self.0.push((key.to_owned(), value));
        Ok(())
    }

    /// Puts a value under a key unless there is one already.
    ///
    /// # Errors
    /// As [`Object::set`].
    pub fn set_default<T: Serialize + ?Sized>(
        &mut self,
        key: &str,
        value: &T,
    ) -> Result<(), DecodeError> {
        if self.contains(key) {
            Ok(())
        } else {
            self.set(key, value)
        }
    }

    /// Removes all values under a key.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| !name.eq_ignore_ascii_case(key));
    }

    /// The object's JSON, on one line unless values were written on several.
    ///
    /// # Errors
    /// [`DecodeError`] if serde_json cannot write it.
    pub fn to_json(&self) -> Result<String, DecodeError> {
        serde_json::to_string(self).map_err(|error| DecodeError::of_document(&error))
    }

    /// Copies the entries that are under none of the known keys.
    pub fn copy_unknown(&self, known: &[&str], target: &mut Object) {
        let is_known = |key: &str| known.iter().any(|known| known.eq_ignore_ascii_case(key));
        let unknown = self.0.iter().filter(|(key, _)| !is_known(key));
        target.0.extend(unknown.cloned());
    }

    /// The keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Object(entries))
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn object(text: &str) -> Object {
        json::from_str(text).unwrap()
    }

    #[test]
    fn values_that_are_passed_on_keep_their_text() {
        let text = r#"{"b":123456789012345678901234567890.5e3,"a":{"x":[1, 2]},"b2":"ä","n":null}"#;
        assert_eq!(serde_json::to_string(&object(text)).unwrap(), text);
    }

    #[test]
    fn lookup_and_replacement_ignore_case() {
        let mut object = object(r#"{"MTU":1400,"other":1,"mtu":1300}"#);
        assert_eq!(object.get("Mtu"), Some("1300"));
        object.set_default("mtu", &1).unwrap();
        assert_eq!(object.decode::<u32>("mtu"), Ok(Some(1300)));
        object.set("mtu", &1200).unwrap();
        assert_eq!(
            serde_json::to_string(&object).unwrap(),
            r#"{"other":1,"mtu":1200}"#
        );
        object.remove("OTHER");
        assert_eq!(object.keys().collect::<Vec<_>>(), ["mtu"]);
    }

    #[test]
    fn a_value_is_the_same_one_as_among_entries() {
        for (text, value) in [
            (r#"{"mtu":1400,"Mtu":1300}"#, Some(1300)),
            (r#"{"mtu":1400,"MTU":null}"#, Some(1400)),
            (r#"{"mtu":null,"MTU":1400}"#, Some(1400)),
            (r#"{"mtu":null}"#, None),
            ("{}", None),
        ] {
            let (mut object, entries) = (object(text), json::Entries::parse(text).unwrap());
            assert_eq!(object.decode::<u32>("mtu"), Ok(value), "{text}");
            assert_eq!(entries.value::<u32>("mtu"), Ok(value), "{text}");
            assert_eq!(object.contains("mtu"), value.is_some(), "{text}");
            assert_eq!(entries.contains("mtu"), value.is_some(), "{text}");
            object.set_default("mtu", &7).unwrap();
            assert_eq!(object.decode("mtu"), Ok(value.or(Some(7))), "{text}");
        }
    }

    #[test]
    fn null_is_unset() {
        let mut object = object(r#"{"mtu":null}"#);
        assert!(!object.contains("mtu"));
        object.set_default("mtu", &5).unwrap();
        assert_eq!(serde_json::to_string(&object).unwrap(), r#"{"mtu":5}"#);
    }

    #[test]
    fn a_value_of_the_wrong_shape_names_its_key() {
        assert_eq!(
            object(r#"{"mtu":{"a":1}}"#)
                .decode::<u32>("mtu")
                .unwrap_err()
                .to_string(),
            "mtu: invalid type: map, expected u32"
        );
    }
}
