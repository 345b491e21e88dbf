//! The plugins of a multi-call binary.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{Metadata, metadata};
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use crate::Plugin;

/// The plugins of a multi-call binary. The base name of `argv[0]` selects one of them.
///
/// A delegate whose file in `CNI_PATH` is this very binary is called in the same process
/// (in-process delegation): the reply is the same, without the cost of starting a process. Any
/// other file is started as a process.
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

    /// The plugins' names.
    pub(crate) fn names(self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|plugin| plugin.name())
    }

    /// The plugin of a name, if the file that has this name in `CNI_PATH` is the binary of this
    /// process.
    pub(crate) fn get_by_file(self, name: &OsStr, file: &Metadata) -> Option<&'a dyn Plugin> {
        let plugin = self.get(name)?;
        (own_file() == Some(identity(file))).then_some(plugin)
    }
}

/// The device and the inode of this process's binary.
fn own_file() -> Option<(u64, u64)> {
    static OWN: OnceLock<Option<(u64, u64)>> = OnceLock::new();
    *OWN.get_or_init(|| metadata("/proc/self/exe").ok().as_ref().map(identity))
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

impl fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
