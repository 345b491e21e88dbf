//! A network's list of plugins.

use std::borrow::Cow;

use cni_types::json::{self, DecodeError, Object};
use cni_types::{NameError, NetworkName, PluginType, Quoted, Version};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

/// A network's list of plugins, as a runtime reads it (CNI specification, "Section 1").
#[derive(Clone, Debug)]
pub struct NetworkList {
    /// `name`: the network.
    pub name: NetworkName,
    /// The version that all plugins are called with: the latest of `cniVersion` and `cniVersions`
    /// that this runtime supports.
    pub version: Version,
    /// `disableCheck`: CHECK succeeds without calling a plugin.
    pub disable_check: bool,
    /// `disableGC`: GC succeeds without calling a plugin.
    pub disable_gc: bool,
    /// `loadOnlyInlinedPlugins`: no plugins are read from the directory of the network's name
    /// beside the list.
    pub load_only_inlined_plugins: bool,
    /// The plugins, in the order of ADD.
    pub plugins: Vec<PluginConf>,
    json: String,
}

/// The configuration of one plugin of a list.
#[derive(Clone, Debug)]
pub struct PluginConf {
    /// `type`: the plugin.
    pub plugin_type: PluginType,
    /// `capabilities`: the names that are `true`. The plugin gets the runtime's arguments for
    /// these.
    pub capabilities: Vec<String>,
    /// All keys, as they were written.
    pub conf: Object,
}

/// What is wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The text is not JSON, or a key has a value of the wrong type.
    #[error(transparent)]
    Json(#[from] DecodeError),
    /// There is no name.
    #[error("name is missing: a list of plugins needs the network's name")]
    NoName,
    /// The name is invalid.
    #[error("name {0}")]
    Name(NameError),
    /// No version is supported.
    #[error(
        "cniVersion: none of {given} is supported: set cniVersion to one of {}",
        Version::ALL.map(Version::as_str).join(", ")
    )]
    Version {
        /// The versions of the list.
        given: String,
    },
    /// There are no plugins.
    #[error("plugins is missing or empty: a list needs at least one plugin")]
    NoPlugins,
    /// A plugin has no type.
    #[error("plugins[{0}].type is missing: it names the plugin's file in CNI_PATH")]
    NoType(usize),
    /// The type of a plugin is invalid.
    #[error("plugins[{index}].type {error}")]
    Type {
        /// The plugin's place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        error: NameError,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    name: Option<String>,
    cni_version: Option<String>,
    cni_versions: Option<Vec<String>>,
    disable_check: Option<Flag>,
    #[serde(rename = "disableGC")]
    disable_gc: Option<Flag>,
    load_only_inlined_plugins: Option<Flag>,
    plugins: Option<Vec<Object>>,
}

impl NetworkList {
    /// Parses a list. Without `plugins`, the list is empty, unless `loadOnlyInlinedPlugins` says
    /// that there are no others.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let raw: Raw = json::from_str(text)?;
        let flag = |flag: Option<Flag>| flag.is_some_and(|Flag(is_set)| is_set);
        let load_only_inlined_plugins = flag(raw.load_only_inlined_plugins);
        let plugins = match raw.plugins {
            Some(plugins) if plugins.is_empty() => return Err(ListError::NoPlugins),
            None if load_only_inlined_plugins => return Err(ListError::NoPlugins),
            plugins => plugins.unwrap_or_default().into_iter().enumerate(),
        };
        let name = raw.name.ok_or(ListError::NoName)?;
        Ok(Self {
            name: name.parse().map_err(ListError::Name)?,
            version: negotiate(raw.cni_version, raw.cni_versions)?,
            disable_check: flag(raw.disable_check),
            disable_gc: flag(raw.disable_gc),
            load_only_inlined_plugins,
            plugins: plugins
                .map(|(index, conf)| PluginConf::of(index, conf))
                .collect::<Result<_, _>>()?,
            json: text.to_owned(),
        })
    }

    /// Parses the configuration of one plugin as a list of it alone. Before lists, a `.conf` file
    /// had a network's only plugin.
    ///
    /// # Errors
    /// As [`NetworkList::parse`].
    pub fn of_single(text: &str) -> Result<Self, ListError> {
        let conf: Object = json::from_str(text)?;
        let mut list = Object::default();
        for key in ["cniVersion", "name"] {
            if let Some(value) = conf.decode::<Box<RawValue>>(key)? {
                list.set(key, &value)?;
            }
        }
        list.set("plugins", &[&conf])?;
        Self::parse(&list.to_json()?)
    }

    /// Whether the text is a list, and not the configuration of one plugin.
    pub(crate) fn is_list(text: &str) -> bool {
        json::from_str::<Object>(text).is_ok_and(|object| object.contains("plugins"))
    }

    /// The list as it was written.
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// Adds a plugin whose configuration is in a file of its own.
    ///
    /// # Errors
    /// As [`NetworkList::parse`].
    pub(crate) fn push(&mut self, text: &str) -> Result<(), ListError> {
        let conf = json::from_str(text)?;
        self.plugins.push(PluginConf::of(self.plugins.len(), conf)?);
        Ok(())
    }
}

impl PluginConf {
    fn of(index: usize, conf: Object) -> Result<Self, ListError> {
        let in_plugin = |error: DecodeError| error.inside(&format!("plugins[{index}]"));
        let plugin_type: Option<String> = conf.decode("type").map_err(in_plugin)?;
        let plugin_type = plugin_type.filter(|text| !text.is_empty());
        let plugin_type = plugin_type.ok_or(ListError::NoType(index))?;
        let plugin_type = plugin_type
            .parse()
            .map_err(|error| ListError::Type { index, error })?;
        let capabilities: Object = conf
            .decode("capabilities")
            .map_err(in_plugin)?
            .unwrap_or_default();
        let mut wanted = Vec::new();
        for name in capabilities.keys() {
            let is_wanted: Option<bool> = capabilities
                .decode(name)
                .map_err(|error| in_plugin(error.inside("capabilities")))?;
            if is_wanted == Some(true) {
                wanted.push(name.to_owned());
            }
        }
        Ok(Self {
            plugin_type,
            capabilities: wanted,
            conf,
        })
    }
}

/// Selects the version that plugins are called with.
fn negotiate(version: Option<String>, versions: Option<Vec<String>>) -> Result<Version, ListError> {
    let Some(versions) = versions else {
        let version = version.unwrap_or_default();
        return version.parse().map_err(|_| ListError::Version {
            given: Quoted(&version).to_string(),
        });
    };
    let version = version.filter(|version| !version.is_empty());
    let given: Vec<String> = versions.into_iter().chain(version).collect();
    let supported = given.iter().filter_map(|version| version.parse().ok());
    match supported.max() {
        Some(version) => Ok(version),
        None if given.is_empty() => Ok(Version::V0_1_0),
        None => Err(ListError::Version {
            given: given
                .iter()
                .map(|version| Quoted(version).to_string())
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

/// A boolean, or its text in any case, which the specification allowed at first.
struct Flag(bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        if let Ok(flag) = serde_json::from_str(raw.get()) {
            return Ok(Self(flag));
        }
        let text: Option<Cow<'_, str>> = serde_json::from_str(raw.get()).ok();
        match text.map(|text| text.to_ascii_lowercase()).as_deref() {
            Some("true") => Ok(Self(true)),
            Some("false") => Ok(Self(false)),
            _ => Err(de::Error::custom(format!(
                "{} is neither true nor false",
                raw.get()
            ))),
        }
    }
}

#[cfg(test)]
mod tests;
