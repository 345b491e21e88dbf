//! The environment of a call, as a value.

use std::ffi::{OsStr, OsString};

/// All environment variables of a call, not only those of the specification. Values need not be
/// UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// The environment of this process.
    #[allow(clippy::disallowed_methods)] // the one place that reads the environment
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// The value of a variable. An empty value counts as not set.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_os_str())
            .filter(|value| !value.is_empty())
    }

    /// A copy of the environment in which one variable has another value.
    pub fn with(&self, name: &str, value: impl Into<OsString>) -> Self {
        self.with_all([(name, value.into())])
    }

    /// A copy of the environment in which these variables have other values. Each name is given
    /// once.
    pub fn with_all<const N: usize>(&self, variables: [(&str, OsString); N]) -> Self {
        let is_given = |key: &OsString| variables.iter().any(|(name, _)| key == name);
        let others = self.0.iter().filter(|(key, _)| !is_given(key)).cloned();
        let mut all: Vec<(OsString, OsString)> = others.collect();
        all.extend(variables.map(|(name, value)| (name.into(), value)));
        Self(all)
    }

    /// All variables and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_os_str(), value.as_os_str()))
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}
