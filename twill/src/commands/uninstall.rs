//! `twill uninstall`: removes the plugins, and puts back the files that they had replaced.

mod going_back;

use std::path::Path;

use anyhow::Result;
use clap::Args;

use self::going_back::GoingBack;
use crate::cli::Outcome;
use crate::commands::install::{self, PluginDir, Removed, Selection, Work};
use crate::output::Output;

/// Removes the plugins, and puts back the files that they had replaced.
///
/// Only files of Twill are removed. A file that another project has put in the place of one since
/// the installation stays.
///
/// Without DIR and NAMES, the node goes back to the plugins of Go: leases in a database become
/// files, masquerading and port maps of running containers become rules of iptables, links get the
/// names by which the Go plugins find them, and what no container needs is removed: tables of
/// nftables, guards, indexes. What is left is printed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  twill uninstall --dry-run\n  twill uninstall /opt/cni/bin")]
pub(crate) struct Options {
    #[command(flatten)]
    selection: Selection,
}

/// Uninstalls from each directory, and prints what has changed.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let selection = &options.selection;
    let dirs = selection.dirs()?;
    let mut going_back = selection
        .is_everything()
        .then(|| GoingBack::new(selection.dry_run));
    if let Some(going_back) = &mut going_back {
        going_back.prepare()?;
    }
    let mut failures = Vec::new();
    for dir in &dirs {
        let work = match PluginDir::open(dir) {
            Ok(opened) => install::uninstall(&opened, selection),
            Err(error) => Work::failed(error),
        };
        report(dir, &work, selection.dry_run, output)?;
        failures.extend(work.failure);
    }
    install::fail_with(failures)?;
    if let Some(going_back) = going_back {
        for line in going_back.finish(&dirs) {
            output.line(&line)?;
        }
    }
    Ok(Outcome::Done)
}

fn report(dir: &Path, work: &Work<Removed>, dry_run: bool, output: &mut Output<'_>) -> Result<()> {
    let verb = if dry_run { "would be " } else { "" };
    for (name, change) in &work.done {
        let what = match change {
            Removed::PutBack => format!("{verb}replaced by the file that it had replaced"),
            Removed::Gone => format!("{verb}removed"),
            Removed::NotOurs => "not Twill's: left as it is".to_owned(),
        };
        output.line(&format!("{}: {what}", dir.join(name).display()))?;
    }
    if work.done.is_empty() && work.failure.is_none() {
        output.line(&format!("{}: nothing to remove", dir.display()))?;
    }
    Ok(())
}
