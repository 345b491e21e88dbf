//! What calls of the plugins cost, measured beside the Go plugins and beside a program that does nothing.
//!
//! A subject has a module of its own; the modules beside it are for all subjects.

mod call;
mod empty;
mod ipam;
mod machine;
mod memory;
mod plot;
mod rounds;
mod state_dir;
mod stats;
mod table;
mod units;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::workspace::Workspace;

/// What is measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Subject {
    /// host-local: ADD and DEL by the number of addresses in use
    Ipam,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Everything, in less than four minutes.
    Full,
    /// Smaller sizes and fewer rounds, in less than 40 seconds.
    Quick,
}

/// Measures a subject, prints what came of it and leaves it in the target folder. The plugins' state is kept there too, on a
/// real file system more often than in /tmp, or in the folder that is named.
pub(crate) fn run(
    workspace: &Workspace,
    subject: Subject,
    extent: Extent,
    state: Option<&Path>,
) -> Result<()> {
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let Outputs { text, plot } = match subject {
        Subject::Ipam => ipam::run(workspace, &folder, state.unwrap_or(&folder), extent)?,
    };
    let name = subject.to_possible_value();
    let name = name.as_ref().map_or("bench", |name| name.get_name());
    let text_file = write(&folder.join(format!("{name}.md")), &text)?;
    let plot_file = write(&folder.join(format!("{name}.svg")), &plot)?;
    println!("\n{text}\n{}\n{}", text_file.display(), plot_file.display());
    Ok(())
}

/// What a subject's measurement gives.
struct Outputs {
    /// Tables, in Markdown.
    text: String,
    /// A plot, in SVG.
    plot: String,
}

fn write(path: &Path, contents: &str) -> Result<PathBuf> {
    fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.to_owned())
}
