//! `twill install`: puts the plugins into the directories in which runtimes look for them.

mod binary;
mod needs;
mod network_list;
mod plugin_dir;
mod selection;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use self::binary::Binary;
use self::plugin_dir::Installed;
use crate::cli::Outcome;
use crate::error::in_words;
use crate::output::Output;

pub(super) use self::network_list::plugin_types;
pub(super) use self::plugin_dir::{PluginDir, Removed, Work, kept_name, uninstall};
pub(super) use self::selection::Selection;

/// The directory of network lists of runtimes and flanneld.
const NETWORK_LISTS: &str = "/etc/cni/net.d";

/// Installs the plugins, each as a file of its own.
///
/// Containers may come and go meanwhile: each file appears complete under its name. A file of
/// another project is kept as .NAME.before-twill, and `twill uninstall` puts it back. A repeated
/// run changes nothing.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  twill install\n  twill install --skip portmap,bandwidth /opt/cni/bin"
)]
pub(crate) struct Options {
    #[command(flatten)]
    selection: Selection,
    /// Write kube-flannel's network list, 10-flannel.conflist, if its directory has no list yet.
    #[arg(
        long,
        value_name = "DIR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = NETWORK_LISTS,
    )]
    conflist: Option<PathBuf>,
}

/// Installs into each directory, and prints what has changed and what the node still needs.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let selection = &options.selection;
    let binary = Binary::of_this_process()?;
    let dirs = selection.dirs()?;
    let mut failures = Vec::new();
    for dir in &dirs {
        let work = install_into(dir, &binary, selection);
        report(dir, &work, selection.dry_run, output)?;
        failures.extend(work.failure);
    }
    if let Some(lists) = &options.conflist {
        output.line(&network_list::write(lists, selection.dry_run)?)?;
    }
    fail_with(failures)?;
    if selection.are_defaults() || options.conflist.is_some() {
        let lists = options.conflist.as_deref();
        let lists = lists.unwrap_or(Path::new(NETWORK_LISTS));
        for need in needs::of_node(lists, &dirs) {
            output.line(&format!("needed: {need}"))?;
        }
    }
    Ok(Outcome::Done)
}

fn install_into(dir: &Path, binary: &Binary, selection: &Selection) -> Work<Installed> {
    let opened = if selection.dry_run {
        PluginDir::open_if_there(dir)
    } else {
        PluginDir::create(dir).map(Some)
    };
    match opened {
        Ok(opened) => plugin_dir::install(opened.as_ref(), binary, selection),
        Err(error) => Work::failed(error),
    }
}

fn report(
    dir: &Path,
    work: &Work<Installed>,
    dry_run: bool,
    output: &mut Output<'_>,
) -> Result<()> {
    let verb = if dry_run { "would be " } else { "" };
    for (name, change) in &work.done {
        let what = match change {
            Installed::Unchanged => continue,
            Installed::New => "installed",
            Installed::Update => "updated",
            Installed::Replacement => "installed; the file before it is kept for `twill uninstall`",
        };
        output.line(&format!("{}: {verb}{what}", dir.join(name).display()))?;
    }
    let is_unchanged = |(_, change): &&(&str, _)| *change == Installed::Unchanged;
    let unchanged = work.done.iter().filter(is_unchanged).count();
    if unchanged > 0 {
        output.line(&format!("{}: {unchanged} unchanged", dir.display()))?;
    }
    Ok(())
}

/// One error from several.
pub(super) fn fail_with(failures: Vec<anyhow::Error>) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    let messages: Vec<String> = failures.iter().map(in_words).collect();
    bail!("{}", messages.join("\n"))
}
