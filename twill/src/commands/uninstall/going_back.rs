//! State that the Go plugins cannot take over is converted, removed if no container needs it, or
//! reported.
//!
//! ```text
//! files    addresses in a database become files; what is derived from them is removed
//! rules    masquerading and port maps become the Go plugins' rules; unused tables are removed
//! links    ifbs get the Go plugin's names
//! lists    versions that the Go plugins do not know
//! ```

mod files;
mod links;
mod lists;
mod rules;

use std::path::PathBuf;

use anyhow::Result;
use node::Node;

use crate::node_options::NodeOptions;

/// A node whose plugins are about to be those of Go.
pub(super) struct GoingBack {
    node: Node,
    dry_run: bool,
    /// One line about each change.
    lines: Vec<String>,
}

impl GoingBack {
    pub(super) fn new(dry_run: bool) -> Self {
        Self {
            node: Node::read(&NodeOptions::default().paths()),
            dry_run,
            lines: Vec::new(),
        }
    }

    /// What has to precede the Go plugins' first call.
    pub(super) fn prepare(&mut self) -> Result<()> {
        self.convert_databases()
    }

    /// Does the rest, once no call of Twill's plugins begins any more in these directories, and
    /// returns the lines about all changes and all that is left.
    pub(super) fn finish(mut self, dirs: &[PathBuf]) -> Vec<String> {
        self.convert_rules();
        self.rename_ifbs();
        self.remove_derived_files();
        self.report_kept();
        self.report_versions(dirs);
        self.lines
    }

    /// Adds a line about a change that was made, or would be made.
    fn report(&mut self, subject: &str, done: &str, would_be: &str) {
        let what = if self.dry_run { would_be } else { done };
        self.lines.push(format!("{subject}: {what}"));
    }
}
