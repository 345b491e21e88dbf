//! The network configurations of a node, as a runtime finds them.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use cni_types::json::{self, Object};
use cni_types::{NetConf, NetworkName, PluginType};
use serde::Deserialize;
use state::read_bounded;

use crate::{Part, Problem};

/// The most that is read of a file, in bytes.
const MAX_FILE: usize = 1 << 20;

/// A network configuration: a file of the configuration directory that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkList {
    /// The file.
    pub file: PathBuf,
    /// The network.
    pub name: NetworkName,
    /// The plugins, in their order.
    pub plugins: Vec<ListedPlugin>,
}

/// A plugin of a network configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedPlugin {
    /// Its name.
    pub plugin_type: PluginType,
    /// Its configuration as a runtime passes it on: with the list's `name` and `cniVersion`.
    pub conf: Object,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawList {
    cni_version: Option<String>,
    name: Option<String>,
    plugins: Option<Vec<Object>>,
}

impl NetworkList {
    /// Reads a file: a list of plugins (`.conflist`), or the configuration of one (`.conf`,
    /// `.json`).
    ///
    /// # Errors
    /// [`Problem`], which names the file.
    pub fn read(file: &Path) -> Part<Self> {
        let contents = read_bounded(file, MAX_FILE);
        let contents = contents.map_err(|error| of_file(file, error))?;
        Self::parse(file, &contents)
    }

    fn parse(file: &Path, contents: &[u8]) -> Part<Self> {
        let whole: Object = json::from_slice(contents).map_err(|error| of_file(file, error))?;
        let raw: RawList = json::from_slice(contents).map_err(|error| of_file(file, error))?;
        let name = raw
            .name
            .ok_or_else(|| of_file(file, "it has no \"name\""))?;
        let name: NetworkName = name.parse().map_err(|error| of_file(file, error))?;
        let confs = match raw.plugins {
            Some(plugins) if plugins.is_empty() => {
                return Err(of_file(file, "its \"plugins\" are empty"));
            }
            Some(plugins) => plugins,
            None => vec![whole],
        };
        let mut plugins = Vec::new();
        for mut conf in confs {
            let plugin_type: Option<String> =
                conf.decode("type").map_err(|error| of_file(file, error))?;
            let plugin_type =
                plugin_type.ok_or_else(|| of_file(file, "a plugin has no \"type\""))?;
            let mut set =
                |key: &str, value: &str| conf.set(key, value).map_err(|error| of_file(file, error));
            set("name", name.as_str())?;
            if let Some(version) = &raw.cni_version {
                set("cniVersion", version)?;
            }
            plugins.push(ListedPlugin {
                plugin_type: plugin_type.parse().map_err(|error| of_file(file, error))?,
                conf,
            });
        }
        Ok(Self {
            file: file.to_owned(),
            name,
            plugins,
        })
    }

    /// The first plugin of this type.
    pub fn plugin(&self, plugin_type: &str) -> Option<&ListedPlugin> {
        let mut plugins = self.plugins.iter();
        plugins.find(|plugin| plugin.plugin_type.as_str() == plugin_type)
    }
}

impl ListedPlugin {
    /// Passes the configuration to a function as the plugin gets it.
    ///
    /// # Errors
    /// [`Problem`] if the configuration is invalid; the function's.
    pub fn with_conf<T>(
        &self,
        read: impl FnOnce(&NetConf<'_>) -> Result<T, cni_types::Error>,
    ) -> Part<T> {
        with_conf(&self.conf, read)
    }
}

/// Passes a configuration to a function as a plugin gets it.
pub(crate) fn with_conf<T>(
    conf: &Object,
    read: impl FnOnce(&NetConf<'_>) -> Result<T, cni_types::Error>,
) -> Part<T> {
    let text = conf.to_json().map_err(Problem::of)?;
    let conf = NetConf::parse(text.as_bytes()).map_err(|refused| Problem::of(refused.error.msg))?;
    read(&conf).map_err(|error| Problem::of(error.msg))
}

/// Reads the configurations of a directory, in the order of the files' names. A runtime uses the
/// first that it can. None if there is no directory.
pub(crate) fn read_lists(dir: &Path) -> Part<Vec<Part<NetworkList>>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(of_file(dir, error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| of_file(dir, error))?.path();
        let extension = file.extension().and_then(OsStr::to_str);
        if matches!(extension, Some("conflist" | "conf" | "json")) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files.iter().map(|file| NetworkList::read(file)).collect())
}

fn of_file(file: &Path, error: impl std::fmt::Display) -> Problem {
    Problem::of(format_args!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_and_a_single_plugin_are_read_as_a_runtime_passes_them_on() {
        let temp = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(temp.path().join(name), text).unwrap();
        write(
            "10-a.conflist",
            r#"{"cniVersion":"1.0.0","name":"a","plugins":[{"type":"flannel"},{"type":"portmap","x":1}]}"#,
        );
        write(
            "20-b.conf",
            r#"{"cniVersion":"0.3.1","name":"b","type":"bridge"}"#,
        );
        write("30-c.json", r#"{"name":"c","plugins":[]}"#);
        write("40-d.conflist", "{");
        write("50-e.conflist", r#"{"plugins":[{"type":"bridge"}]}"#);
        write("90-x.txt", "not read");
        let lists = read_lists(temp.path()).unwrap();
        let dir = temp.path().display().to_string();
        let shown: Vec<String> = lists
            .iter()
            .map(|list| match list {
                Ok(list) => {
                    let confs = list.plugins.iter().map(|it| it.conf.to_json().unwrap());
                    format!("{}: {}", list.name, confs.collect::<Vec<_>>().join(" "))
                }
                Err(problem) => problem.as_str().replace(&dir, ""),
            })
            .collect();
        assert_eq!(
            shown,
            [
                r#"a: {"type":"flannel","name":"a","cniVersion":"1.0.0"} {"type":"portmap","x":1,"name":"a","cniVersion":"1.0.0"}"#,
                r#"b: {"type":"bridge","name":"b","cniVersion":"0.3.1"}"#,
                "/30-c.json: its \"plugins\" are empty",
                "/40-d.conflist: EOF while parsing an object at line 1 column 1",
                "/50-e.conflist: it has no \"name\"",
            ]
        );
        assert_eq!(read_lists(&temp.path().join("absent")), Ok(Vec::new()));
    }
}
