//! The network configurations of a node, as a runtime finds them.

use std::path::PathBuf;

use cni_types::NetConf;
use cni_types::json::Object;
use conflist::{NetworkList, PluginConf, files};

use crate::{Part, Problem};

/// A file of a configuration directory, and the list of plugins in it.
#[derive(Clone, Debug)]
pub struct ListFile {
    /// The file.
    pub path: PathBuf,
    /// The list, or the problem with the file.
    pub list: Part<NetworkList>,
}

/// Reads the lists of directories, in the order in which a runtime reads them; no lists if a
/// directory does not exist. A directory that cannot be read stands for its files.
pub(crate) fn read_lists(dirs: &[PathBuf]) -> Vec<ListFile> {
    let mut all = Vec::new();
    for dir in dirs {
        match files::all(dir) {
            Ok(listed) => all.extend(listed.into_iter().map(|listed| ListFile {
                path: listed.path,
                list: listed.list.map_err(Problem::of),
            })),
            Err(error) => all.push(ListFile {
                path: dir.clone(),
                list: Err(Problem::of(error)),
            }),
        }
    }
    all
}

/// The first plugin of a list that has this type.
pub fn plugin_of<'l>(list: &'l NetworkList, plugin_type: &str) -> Option<&'l PluginConf> {
    let mut plugins = list.plugins.iter();
    plugins.find(|plugin| plugin.plugin_type.as_str() == plugin_type)
}

/// The configuration of a list's plugin as the plugin gets it, without the runtime's arguments and
/// `prevResult`.
///
/// # Errors
/// [`Problem`] for a name that JSON cannot express.
pub fn conf_of(list: &NetworkList, plugin: &PluginConf) -> Part<Object> {
    let mut conf = plugin.conf.clone();
    let set = conf
        .set("cniVersion", list.version.as_str())
        .and_then(|()| conf.set("name", list.name.as_str()));
    set.map_err(Problem::of)?;
    Ok(conf)
}

/// Passes a configuration to a function as a plugin gets it.
///
/// # Errors
/// [`Problem`] if the configuration is invalid; the function's.
pub fn with_conf<T>(
    conf: &Object,
    read: impl FnOnce(&NetConf<'_>) -> Result<T, cni_types::Error>,
) -> Part<T> {
    let text = conf.to_json().map_err(Problem::of)?;
    let conf = NetConf::parse(text.as_bytes()).map_err(|refused| Problem::of(refused.error.msg))?;
    read(&conf).map_err(|error| Problem::of(error.msg))
}
