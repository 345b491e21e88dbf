//! `twill uninstall`: removes the plugins, and puts back the files that they had replaced.

mod going_back;

use anyhow::Result;
use clap::Args;

use self::going_back::GoingBack;
use crate::cli::Outcome;
use crate::commands::install::{self, Change, PluginDir, Removed, Report, Selection, Work};
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
    let mut report = Report::new(selection);
    for dir in &dirs {
        let work = match PluginDir::open(dir) {
            Ok(opened) => install::uninstall(&opened, selection),
            Err(error) => Work::failed(error),
        };
        report.add(dir, &work, words);
        if work.done.is_empty() && work.failure.is_none() {
            report.remark(format!("{}: nothing to remove", dir.display()));
        }
        report.fail(work.failure);
    }
    if report.failures.is_empty()
        && let Some(going_back) = going_back
    {
        let lines = going_back.finish(&dirs).into_iter();
        lines.for_each(|line| report.remark(line));
    }
    report.print(output)
}

fn words(change: Removed) -> Change {
    match change {
        Removed::PutBack => Change::Changed("replaced by the file that it had replaced"),
        Removed::Gone => Change::Changed("removed"),
        Removed::NotOurs => Change::Left("not Twill's: left as it is"),
    }
}
