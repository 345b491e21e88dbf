//! The environment of a command, taken from its process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cni_plugin::Environment;
use node::PLUGIN_DIRS;

/// A name that a directory of plugins has. A directory without it, such as /usr/sbin, may have
/// programs that are called like plugins: `bridge` of iproute2.
const PLUGIN: &str = "host-local";

/// The environment of a command, taken from its process.
#[derive(Debug)]
pub(crate) struct Context {
    /// The environment for plugins, with a `CNI_PATH`: that of the process, or the directories in
    /// which this binary and other plugins usually are.
    pub(crate) environment: Environment,
}

impl Context {
    pub(crate) fn of_process() -> Self {
        let environment = Environment::of_process();
        if environment.get("CNI_PATH").is_some() {
            return Self { environment };
        }
        let own = std::env::current_exe().ok();
        let own = own.as_deref().and_then(Path::parent);
        let own = own
            .filter(|dir| dir.join(PLUGIN).exists())
            .map(Path::to_owned);
        let usual = PLUGIN_DIRS.map(PathBuf::from).into_iter();
        let dirs = own.into_iter().chain(usual.filter(|dir| dir.is_dir()));
        // A directory whose name has a colon cannot be in the list.
        let path: OsString =
            std::env::join_paths(dirs).unwrap_or_else(|_| PLUGIN_DIRS.join(":").into());
        Self {
            environment: environment.with("CNI_PATH", path),
        }
    }
}
