//! `CNI_ARGS`, the arguments that a runtime passes to all plugins of a call.

use crate::Quoted;

/// What is wrong with `CNI_ARGS`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// A part between semicolons without exactly one `=`.
    #[error("CNI_ARGS: {} is no pair of the form KEY=VALUE", Quoted(.0))]
    Pair(String),
    /// `IgnoreUnknown` is neither true nor false.
    #[error("CNI_ARGS: IgnoreUnknown={} must be 1, true, 0 or false", Quoted(.0))]
    IgnoreUnknown(String),
    /// Names that the plugin does not know.
    #[error("CNI_ARGS: unknown names {}; IgnoreUnknown=1 allows them", .0.join(", "))]
    Unknown(Vec<String>),
}

/// The names that the reference plugins define: `IP` (`host-local`, `static`), `GATEWAY` (`static`)
/// and `MAC` (`bridge`, `macvlan`, `tap`, `tuning`). The names of Kubernetes runtimes come with
/// `IgnoreUnknown=1`.
const KNOWN: [&str; 3] = ["IP", "GATEWAY", "MAC"];

/// The pairs of `CNI_ARGS`: `IgnoreUnknown=1;IP=10.0.0.5` (CNI specification, "Section 2:
/// parameters").
///
/// Names are case-sensitive; of several values of one name, the last one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CniArgs(Vec<(String, String)>);

impl CniArgs {
    /// Splits the variable's value, and checks its names against those that plugins define. A
    /// plugin ignores the names of other plugins, because all plugins of a network get the same
    /// value. `IgnoreUnknown=1` or `true` allows all names.
    ///
    /// # Errors
    /// [`ArgsError`].
    pub fn parse(text: &str) -> Result<Self, ArgsError> {
        /// The only name that the conventions define for all plugins.
        const IGNORE_UNKNOWN: &str = "IgnoreUnknown";

        if text.is_empty() {
            return Ok(Self::default());
        }
        let pairs = text
            .split(';')
            .map(|pair| match pair.split_once('=') {
                Some((key, value)) if !value.contains('=') => {
                    Ok((key.to_owned(), value.to_owned()))
                }
                _ => Err(ArgsError::Pair(pair.to_owned())),
            })
            .collect::<Result<_, _>>()?;
        let args = Self(pairs);

        let ignore_unknown = match args.get(IGNORE_UNKNOWN) {
            None => false,
            Some(value) => match value.to_ascii_lowercase().as_str() {
                "1" | "true" => true,
                "0" | "false" => false,
                _ => return Err(ArgsError::IgnoreUnknown(value.to_owned())),
            },
        };
        let unknown: Vec<String> = args
            .0
            .iter()
            .map(|(key, _)| key)
            .filter(|key| *key != IGNORE_UNKNOWN && !KNOWN.contains(&key.as_str()))
            .map(|key| Quoted(key).to_string())
            .collect();
        if unknown.is_empty() || ignore_unknown {
            Ok(args)
        } else {
            Err(ArgsError::Unknown(unknown))
        }
    }

    /// The value of a name.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name() {
        let args =
            CniArgs::parse("IgnoreUnknown=TRUE;COLOUR=blue;IP=10.0.0.5;IP=10.0.0.6").unwrap();
        assert_eq!(args.get("IP"), Some("10.0.0.6"));
        assert_eq!(args.get("ip"), None);
        assert_eq!(CniArgs::parse(""), Ok(CniArgs::default()));
        assert_eq!(CniArgs::parse("IP=").unwrap().get("IP"), Some(""));
    }

    #[test]
    fn names_of_other_plugins_are_accepted() {
        let text = "MAC=02:00:00:00:00:01;IP=10.0.0.5;GATEWAY=10.0.0.1";
        let args = CniArgs::parse(text).unwrap();
        assert_eq!(args.get("MAC"), Some("02:00:00:00:00:01"));
        assert_eq!(args.get("GATEWAY"), Some("10.0.0.1"));
    }

    #[test]
    fn an_error_lists_the_unknown_names() {
        assert_eq!(
            CniArgs::parse("A=1;IP=10.0.0.5;B=2;IgnoreUnknown=0"),
            Err(ArgsError::Unknown(vec!["\"A\"".into(), "\"B\"".into()]))
        );
        assert_eq!(
            CniArgs::parse("ip=10.0.0.5").unwrap_err().to_string(),
            r#"CNI_ARGS: unknown names "ip"; IgnoreUnknown=1 allows them"#
        );
    }

    #[test]
    fn malformed_pairs_are_refused() {
        for (text, pair) in [
            ("A", "A"),
            ("IP=1;", ""),
            (";", ""),
            ("IP=1=2", "IP=1=2"),
            ("=", "="),
        ] {
            let expected = if pair == "=" {
                ArgsError::Unknown(vec!["\"\"".into()])
            } else {
                ArgsError::Pair(pair.into())
            };
            assert_eq!(CniArgs::parse(text), Err(expected), "{text:?}");
        }
        assert_eq!(
            CniArgs::parse("IgnoreUnknown=yes"),
            Err(ArgsError::IgnoreUnknown("yes".into()))
        );
    }
}
