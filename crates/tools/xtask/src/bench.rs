//! What calls of the plugins cost, measured beside a program that does nothing and, where it can be, beside the Go plugin.
//!
//! A subject has a module of its own; the modules beside it are for all subjects.

mod call;
mod chain;
mod chart;
mod container;
mod contest;
mod figures;
mod flannel;
mod ipam;
mod machine;
mod memory;
mod plot;
mod programs;
mod report;
mod rounds;
mod state_dir;
mod stats;
mod system_calls;
mod table;
mod target;
mod units;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

use self::state_dir::StateDir;
use crate::command::Show;
use crate::platform::Platform;
use crate::terminal::Terminal;
use crate::workspace::Workspace;
use crate::{dist, packages};

/// What is measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Subject {
    /// flannel, bridge and host-local: ADD and DEL, one after another and 8 at a time, beside the Go plugins (needs root)
    Chain,
    /// flannel: what it costs itself, with a delegate that does nothing (needs root)
    Flannel,
    /// host-local: ADD and DEL by the number of addresses in use, beside the Go plugin
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
    let mut setting = Setting::new(workspace, &folder, state.unwrap_or(&folder), extent)?;
    let Outputs { text, plot } = match subject {
        Subject::Chain => chain::run(workspace, &mut setting)?,
        Subject::Flannel => flannel::run(&mut setting)?,
        Subject::Ipam => ipam::run(&mut setting)?,
    };
    let name = subject.to_possible_value();
    let name = name.as_ref().map_or("bench", |name| name.get_name());
    let text_file = write(&folder.join(format!("{name}.md")), &text)?;
    let plot_file = write(&folder.join(format!("{name}.svg")), &plot)?;
    println!("\n{text}\n{}\n{}", text_file.display(), plot_file.display());
    Ok(())
}

/// What a subject is measured with.
struct Setting {
    terminal: Terminal,
    extent: Extent,
    /// The folder of the plugins.
    plugins: PathBuf,
    /// The folder of the bench's own programs.
    folder: PathBuf,
    /// A program that does nothing, on the machine's own C library: the measure that targets are set in.
    empty: PathBuf,
    /// The same as the plugins are built: what is left of a call when a plugin's own work is taken away.
    bare: PathBuf,
    state: StateDir,
    /// What there is to know of the machine.
    machine: String,
}

impl Setting {
    /// Builds all programs, and keeps state inside a folder.
    fn new(workspace: &Workspace, folder: &Path, state: &Path, extent: Extent) -> Result<Self> {
        let mut terminal = Terminal::stdout();
        packages::install_missing(packages::NEEDED)?;
        terminal.line("building the plugins");
        dist::build(workspace, Show::IfItFails)?;
        let state = StateDir::new(state)?;
        Ok(Self {
            terminal,
            extent,
            plugins: workspace.dist_dir(),
            folder: folder.to_owned(),
            empty: programs::empty(folder, "empty", &Platform::of_machine()?)?,
            bare: programs::empty(folder, "bare", &Platform::of_plugins()?)?,
            machine: machine::described(state.path())?,
            state,
        })
    }
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
