//! `twill uninstall`: removes the plugins, and puts back what they had replaced.

use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::cli::Outcome;
use crate::commands::install::{self, PluginDir, Removed, Selection, Work};
use crate::output::Output;

/// Removes the plugins, and puts back the files that they had replaced.
///
/// Only files of Twill are removed. A file that another project has put in the place of one since
/// the installation stays.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    selection: Selection,
}

/// Uninstalls from each directory, and prints what has changed.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let selection = &options.selection;
    let mut failures = Vec::new();
    for dir in &selection.dirs()? {
        let work = match PluginDir::open(dir) {
            Ok(opened) => install::uninstall(&opened, selection),
            Err(error) => Work::failed(error),
        };
        report(dir, &work, selection.dry_run, output)?;
        failures.extend(work.failure);
    }
    install::fail_with(failures)?;
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
