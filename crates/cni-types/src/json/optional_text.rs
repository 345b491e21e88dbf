//! Text whose empty value means "not set".

use serde::{Deserialize, Deserializer};

/// Text under a key. Runtimes and users write `""` for what is not set, so an empty text, `null`
/// and an absent key are the same: there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptionalText(Option<String>);

impl OptionalText {
    /// The text, which has at least one character.
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The text, owned.
    pub fn into_option(self) -> Option<String> {
        self.0
    }
}

impl From<String> for OptionalText {
    fn from(text: String) -> Self {
        Self(Some(text).filter(|text| !text.is_empty()))
    }
}

impl<'de> Deserialize<'de> for OptionalText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(String::deserialize(deserializer)?.into())
    }
}

/// A text unless it is empty, as [`OptionalText`] for what comes from elsewhere than from JSON.
pub fn unless_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// An `Option<String>` with the same rule, for serde's `deserialize_with`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    Ok(OptionalText::deserialize(deserializer)?.into_option())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Conf {
        text: OptionalText,
        texts: Vec<OptionalText>,
    }

    #[test]
    fn empty_null_and_absent_text_are_equal() {
        for text in [r#"{"text":""}"#, r#"{"text":null}"#, "{}"] {
            let conf: Conf = json::from_str(text).unwrap();
            assert_eq!(conf.text.get(), None, "{text}");
        }
        let conf: Conf = json::from_str(r#"{"text":" ","texts":["","a"]}"#).unwrap();
        assert_eq!(conf.text.get(), Some(" "));
        let texts: Vec<_> = conf.texts.iter().filter_map(OptionalText::get).collect();
        assert_eq!(texts, ["a"]);
    }

    #[test]
    fn values_of_other_types_are_refused() {
        let error = json::from_str::<Conf>(r#"{"text":5}"#).err().unwrap();
        assert_eq!(
            error.to_string(),
            "text: invalid type: integer `5`, expected a string"
        );
    }
}
