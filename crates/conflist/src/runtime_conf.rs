//! A runtime's parameters of one attachment.

use std::path::PathBuf;

use cni_types::json::{self, DecodeError, Object};
use cni_types::{Attachment, Quoted};

/// A runtime's parameters of one attachment: everything that is not in the network's list.
#[derive(Clone, Debug)]
pub struct RuntimeConf {
    /// Container ID and interface.
    pub attachment: Attachment,
    /// The path of the container's network namespace; `None` once it is gone.
    pub netns: Option<PathBuf>,
    /// The pairs of `CNI_ARGS`.
    pub args: Vec<(String, String)>,
    /// The arguments of capabilities. A plugin gets those that its `capabilities` name.
    pub capability_args: Object,
}

/// Arguments that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeConfError {
    /// A part of `CNI_ARGS` is no pair.
    #[error("{} is no pair of the form KEY=VALUE: separate pairs by \";\"", Quoted(.0))]
    Pair(String),
    /// The capability arguments are no JSON object.
    #[error("the capability arguments are no JSON object: {0}")]
    Capabilities(DecodeError),
}

impl RuntimeConf {
    /// Parses `KEY=VALUE;KEY=VALUE`. An empty text has no pairs.
    ///
    /// # Errors
    /// [`RuntimeConfError::Pair`].
    pub fn parse_args(text: &str) -> Result<Vec<(String, String)>, RuntimeConfError> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let pair = |pair: &str| match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() && !value.contains('=') => {
                Ok((key.to_owned(), value.to_owned()))
            }
            _ => Err(RuntimeConfError::Pair(pair.to_owned())),
        };
        text.split(';').map(pair).collect()
    }

    /// Parses a JSON object of capability arguments, such as `{"ips": ["10.0.0.5"]}`. An empty text
    /// has none.
    ///
    /// # Errors
    /// [`RuntimeConfError::Capabilities`].
    pub fn parse_capabilities(text: &str) -> Result<Object, RuntimeConfError> {
        if text.is_empty() {
            return Ok(Object::default());
        }
        json::from_str(text).map_err(RuntimeConfError::Capabilities)
    }

    /// The value of `CNI_ARGS`.
    pub(crate) fn args_text(&self) -> String {
        let pairs = self
            .args
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        pairs.collect::<Vec<_>>().join(";")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn args_are_pairs() {
        let pairs = RuntimeConf::parse_args("IgnoreUnknown=1;IP=10.0.0.5").unwrap();
        let expected = [("IgnoreUnknown", "1"), ("IP", "10.0.0.5")];
        assert_eq!(
            pairs,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        assert_eq!(RuntimeConf::parse_args(""), Ok(vec![]));
        for (text, pair) in [
            ("IP", "IP"),
            ("IP=1;", ""),
            ("=1", "=1"),
            ("A=", "A="),
            ("A=1=2", "A=1=2"),
        ] {
            let expected = RuntimeConfError::Pair(pair.to_owned());
            assert_eq!(RuntimeConf::parse_args(text), Err(expected));
        }
    }

    #[test]
    fn capability_arguments_are_an_object() {
        let object = RuntimeConf::parse_capabilities(r#"{"ips": ["10.0.0.5"]}"#).unwrap();
        assert_eq!(object.get("ips"), Some(r#"["10.0.0.5"]"#));
        let error = RuntimeConf::parse_capabilities("[]")
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("the capability arguments are no JSON object: "),
            "{error}"
        );
    }
}
