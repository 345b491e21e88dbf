//! The plugins of a multi-call binary.

use std::ffi::OsStr;
use std::fmt;
use std::fs::metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::Plugin;

/// The plugins that one binary is, each by the name that it is called by.
///
/// When one of them delegates to another, and what is found in `CNI_PATH` is this very binary, the
/// other one is called in the process: the answer is the same, without the cost of a process.
/// Whatever else is found is run.
#[derive(Clone, Copy, Default)]
pub struct Bundle<'a>(&'a [&'a dyn Plugin]);

impl<'a> Bundle<'a> {
    /// A binary that is these plugins.
    pub const fn new(plugins: &'a [&'a dyn Plugin]) -> Self {
        Self(plugins)
    }

    /// The plugin of a name.
    pub fn get(self, name: &OsStr) -> Option<&'a dyn Plugin> {
        self.0.iter().copied().find(|plugin| name == plugin.name())
    }

    /// The names of the plugins.
    pub(crate) fn names(self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|plugin| plugin.name())
    }

    /// The plugin that a file is, if it is the binary of this process.
    pub(crate) fn get_by_file(self, file: &Path) -> Option<&'a dyn Plugin> {
        let plugin = self.get(file.file_name()?)?;
        let [file, own] = [metadata(file).ok()?, metadata("/proc/self/exe").ok()?];
        ((file.dev(), file.ino()) == (own.dev(), own.ino())).then_some(plugin)
    }
}

impl fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
