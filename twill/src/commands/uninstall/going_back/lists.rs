//! Network lists that the Go plugins would refuse.

use std::path::PathBuf;

use node::supported_versions;

use super::GoingBack;
use crate::commands::install::{kept_name, plugin_types};

impl GoingBack {
    /// A runtime calls all plugins of a list with the latest version of the list that it knows,
    /// which may be one that the Go plugins do not know.
    pub(super) fn report_versions(&mut self, dirs: &[PathBuf]) {
        for file in self.node.lists.iter() {
            let Ok(list) = &file.list else { continue };
            let version = list.version.as_str();
            let mut refusing = plugin_types(list.as_json());
            refusing.retain(|name| {
                let versions = after_removal(dirs, name).and_then(|path| supported_versions(&path));
                versions.is_some_and(|all| !all.iter().any(|it| it == version))
            });
            if !refusing.is_empty() {
                self.lines.push(format!(
                    "needed: {} without the version {version}, which {} would refuse",
                    file.path.display(),
                    refusing.join(", "),
                ));
            }
        }
    }
}

/// The file that has a plugin's name once Twill's are removed.
fn after_removal(dirs: &[PathBuf], name: &str) -> Option<PathBuf> {
    let files = dirs
        .iter()
        .flat_map(|dir| [dir.join(kept_name(name)), dir.join(name)]);
    files.into_iter().find(|path| path.is_file())
}
