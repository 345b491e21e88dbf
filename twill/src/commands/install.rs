//! `twill install`: puts the plugins into the directories in which runtimes look for them.

mod binary;
mod needs;
mod network_list;
mod plugin_dir;
mod report;
mod selection;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use conflist::files;

use self::binary::Binary;
use self::plugin_dir::Installed;
use crate::cli::Outcome;
use crate::output::Output;

pub(super) use self::network_list::plugin_types;
pub(super) use self::plugin_dir::{PluginDir, Removed, Work, kept_name, uninstall};
pub(super) use self::report::{Change, Report};
pub(super) use self::selection::Selection;

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
    )]
    conflist: Option<Option<PathBuf>>,
}

/// Installs into each directory, and prints what has changed and what the node still needs.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let selection = &options.selection;
    let binary = Binary::of_this_process()?;
    let dirs = selection.dirs()?;
    let mut report = Report::new(selection);
    for dir in &dirs {
        let work = install_into(dir, &binary, selection);
        report.add(dir, &work, words);
        report.fail(work.failure);
    }
    let lists = options.conflist.clone().map(Option::unwrap_or_default);
    let lists = lists.map(|dir| match dir.as_os_str().is_empty() {
        true => files::default_dirs(),
        false => vec![dir],
    });
    if let Some(lists) = &lists {
        match network_list::write(lists, selection.dry_run) {
            Ok(line) => report.remark(line),
            Err(error) => report.failures.push(error),
        }
    }
    if report.failures.is_empty() && (selection.are_defaults() || lists.is_some()) {
        let lists = lists.unwrap_or_else(files::default_dirs);
        let needs = needs::of_node(&lists, &dirs, selection);
        needs.into_iter().for_each(|need| report.need(need));
    }
    report.print(output)
}

fn words(change: Installed) -> Change {
    match change {
        Installed::Unchanged => Change::Unchanged,
        Installed::New => Change::Changed("installed"),
        Installed::Update => Change::Changed("updated"),
        Installed::Replacement => {
            Change::Changed("installed; the file before it is kept for `twill uninstall`")
        }
    }
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
