//! The environment of a command, taken from its process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cni_plugin::Environment;

/// The directories in which distributions' runtimes look for plugins.
const PLUGIN_DIRS: [&str; 4] = [
    "/opt/cni/bin",
    "/usr/lib/cni",
    "/usr/libexec/cni",
    "/var/lib/rancher/k3s/data/cni",
];

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
        let own = own.as_deref().and_then(Path::parent).map(Path::to_owned);
        let dirs = own.into_iter().chain(PLUGIN_DIRS.map(PathBuf::from));
        // A directory whose name has a colon cannot be in the list.
        let path: OsString =
            std::env::join_paths(dirs).unwrap_or_else(|_| PLUGIN_DIRS.join(":").into());
        Self {
            environment: environment.with("CNI_PATH", path),
        }
    }
}
