//! The plugins of a multi-call binary.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{Metadata, metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

use cni_types::{Error, NetConf};

use crate::build_id::BuildId;
use crate::{Call, Log, Plugin, Request};

/// The plugins of a multi-call binary. The base name of `argv[0]` selects one of them.
///
/// A delegate whose file in `CNI_PATH` is this very binary, or a copy of it, is called in the same
/// process (in-process delegation): the reply is the same, without the cost of starting a process.
/// Any other file is started as a process.
#[derive(Clone, Copy, Default)]
pub struct Bundle<'a>(&'a [&'a dyn Plugin]);

impl<'a> Bundle<'a> {
    /// A bundle of these plugins.
    pub const fn new(plugins: &'a [&'a dyn Plugin]) -> Self {
        Self(plugins)
    }

    /// The plugin with a name.
    pub fn get(self, name: &OsStr) -> Option<&'a dyn Plugin> {
        self.0.iter().copied().find(|plugin| name == plugin.name())
    }

    /// Calls `work` with what a plugin of this bundle gets of a call, for a program that does a
    /// part of a plugin's work without having been called by a runtime. Delegates are found as for
    /// the plugin. `name` is what the log has as the plugin's name.
    ///
    /// # Errors
    /// Those of `work`; code 6 or 7 if the request's configuration is invalid.
    pub fn with_call<T, E: From<Error>>(
        self,
        name: &str,
        request: &Request,
        work: impl FnOnce(&Call<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let conf = NetConf::parse(&request.stdin).map_err(|refused| refused.error)?;
        let mut log = Log::of(name, &request.environment, Some(&conf));
        log.set_network(conf.name.as_str());
        work(&Call {
            conf: &conf,
            environment: &request.environment,
            netns: None,
            log: &log,
            bundle: self,
        })
    }

    /// The plugins' names.
    pub fn names(self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|plugin| plugin.name())
    }

    /// The plugin of a name, if the file that has this name in `CNI_PATH` is this process's binary
    /// or a copy of it.
    pub(crate) fn get_by_file(
        self,
        name: &OsStr,
        path: &Path,
        metadata: &Metadata,
    ) -> Option<&'a dyn Plugin> {
        let plugin = self.get(name)?;
        is_this_build(path, metadata).then_some(plugin)
    }
}

/// The name of this process's binary, even if the file has been replaced or removed meanwhile.
const OWN: &str = "/proc/self/exe";

/// Whether a file is this process's binary or a copy of it. Only a file of another inode and the
/// same size is opened: files of one build have one size.
pub fn is_this_build(path: &Path, file: &Metadata) -> bool {
    static OWN_FILE: OnceLock<Option<Metadata>> = OnceLock::new();
    static OWN_ID: OnceLock<Option<BuildId>> = OnceLock::new();
    let Some(own) = OWN_FILE.get_or_init(|| metadata(OWN).ok()) else {
        return false;
    };
    if (own.dev(), own.ino()) == (file.dev(), file.ino()) {
        return true;
    }
    own.len() == file.len()
        && BuildId::of_file(path).is_some_and(|id| {
            let own = OWN_ID.get_or_init(|| BuildId::of_file(Path::new(OWN)));
            own.as_ref() == Some(&id)
        })
}

impl fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
