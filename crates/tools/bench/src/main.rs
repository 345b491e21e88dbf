//! What calls of the plugins cost, measured beside a program that does nothing and, where it can
//! be, beside the Go plugin.
//!
//! A subject has a module of its own; the modules beside it are for all subjects.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer's command: it prints, and reads the environment that cargo sets"
)]

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
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::{Arg, Parser, ValueExt};

use self::state_dir::StateDir;
use xtask::command::Show;
use xtask::platform::Platform;
use xtask::terminal::Terminal;
use xtask::workspace::Workspace;
use xtask::{dist, packages};

const USAGE: &str = "\
usage: cargo xtask bench SUBJECT [--quick] [--dir DIR]

  chain     flannel, bridge and host-local: ADD and DEL, one after another and 8 at a time, beside
            the Go plugins (needs root)
  flannel   what it costs itself, with a delegate that does nothing (needs root)
  ipam      host-local: ADD and DEL by the number of addresses in use, beside the Go plugin

  --quick     measure less, in less than 40 seconds
  --dir DIR   keep the plugins' state on the file system of this directory [default: target/bench]
";

/// What is measured.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Chain,
    Flannel,
    Ipam,
}

fn main() -> ExitCode {
    match parse_and_run(Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse_and_run(mut parser: Parser) -> Result<()> {
    let (mut subject, mut extent, mut state) = (None, Extent::Full, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                print!("{USAGE}");
                return Ok(());
            }
            Arg::Long("quick") => extent = Extent::Quick,
            Arg::Long("dir") => state = Some(PathBuf::from(parser.value()?)),
            Arg::Value(name) if subject.is_none() => {
                let name = name.string()?;
                let which = match name.as_str() {
                    "chain" => Subject::Chain,
                    "flannel" => Subject::Flannel,
                    "ipam" => Subject::Ipam,
                    _ => bail!("there is no subject `{name}`"),
                };
                subject = Some((which, name));
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let (subject, name) = subject.context("name a subject: chain, flannel or ipam")?;
    run(
        &Workspace::find()?,
        (subject, &name),
        extent,
        state.as_deref(),
    )
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// Everything, in less than four minutes.
    Full,
    /// Smaller sizes and fewer rounds, in less than 40 seconds.
    Quick,
}

/// Measures a subject, prints what came of it and leaves it in the target folder. The plugins' state is kept there too, on a
/// real file system more often than in /tmp, or in the folder that is named.
fn run(
    workspace: &Workspace,
    (subject, name): (Subject, &str),
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
