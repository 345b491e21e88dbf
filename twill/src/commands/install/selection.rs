//! The selection of plugins and directories.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;
use cni_plugin::Environment;

use crate::plugins::PLUGINS;

/// The directories in which runtimes look for plugins: containerd's and CRI-O's, Debian's, and that
/// of Fedora and SUSE.
const DIRS: [&str; 3] = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"];

/// The operator's tool, which is installed beside the plugins.
const TOOL: &str = "twill";

/// The options that installing and uninstalling share.
#[derive(Args, Debug)]
pub(crate) struct Selection {
    /// The directories; by default those of CNI_PATH, else those of /opt/cni/bin, /usr/lib/cni and
    /// /usr/libexec/cni that exist.
    #[arg(value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Only these, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = parser())]
    plugins: Option<Vec<String>>,
    /// All but these, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = parser())]
    skip: Vec<String>,
    /// Print what would change, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Selection {
    /// The directories.
    pub(crate) fn dirs(&self) -> Result<Vec<PathBuf>> {
        ensure!(
            self.names().next().is_some(),
            "--skip leaves nothing of --plugins: name other plugins"
        );
        if !self.are_defaults() {
            return Ok(self.dirs.clone());
        }
        let environment = Environment::of_process();
        let path = environment.get("CNI_PATH").filter(|path| !path.is_empty());
        let path = path.map_or_else(|| DIRS.join(":").into(), ToOwned::to_owned);
        let dirs = std::env::split_paths(&path);
        // Two of these names are one directory where a distribution merges directories.
        let mut dirs: Vec<PathBuf> = dirs.filter_map(|dir| dir.canonicalize().ok()).collect();
        dirs.sort_unstable();
        dirs.dedup();
        dirs.retain(|dir| dir.is_dir());
        ensure!(
            !dirs.is_empty(),
            "none of {} exists: name the directory in which the runtime looks for plugins",
            path.display().to_string().replace(':', ", ")
        );
        Ok(dirs)
    }

    /// Whether no directory was named.
    pub(crate) fn are_defaults(&self) -> bool {
        self.dirs.is_empty()
    }

    /// Whether all of the node's plugins are selected.
    pub(crate) fn is_everything(&self) -> bool {
        self.are_defaults() && self.plugins.is_none() && self.skip.is_empty()
    }

    /// The selected names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let is_selected = |name: &&str| {
            let named = |list: &[String]| list.iter().any(|listed| listed == name);
            self.plugins.as_deref().is_none_or(named) && !named(&self.skip)
        };
        names().filter(is_selected)
    }
}

/// Everything that can be installed.
fn names() -> impl Iterator<Item = &'static str> {
    PLUGINS.names().chain([TOOL])
}

fn parser() -> PossibleValuesParser {
    PossibleValuesParser::new(names())
}
