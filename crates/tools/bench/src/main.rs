//! What calls of the plugins cost, beside a program that does nothing and beside the Go plugins.
//!
//! Each subject has a module; the other modules serve all subjects.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer's command: it prints, and reads the environment that cargo sets"
)]

mod call;
mod chain;
mod chart;
mod contest;
mod empty;
mod figures;
mod ipam;
mod memory;
mod operator;
mod portmap;
mod report;
mod state_dir;
mod system_calls;
mod units;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use lexopt::{Arg, Parser, ValueExt};
use xtask::command::Show;
use xtask::workspace::Workspace;
use xtask::{dist, packages};

use self::contest::Look;
use self::report::Report;
use self::state_dir::StateDir;

const USAGE: &str = "\
usage: cargo xtask bench SUBJECT [--quick] [--dir DIR]

  chain     flannel, bridge and host-local: ADD and DEL, one after another and 8 at a time, and the
            boot of a node, beside the Go plugins; the same with portmap; GC of 10,000 containers
            (needs root)
  ipam      host-local: ADD and DEL by the number of addresses in use, beside the Go plugin
  operator  leases, status, doctor and gc on a node with 10,000 leases, and ADDs beside them
            (needs root)
  portmap   ADD, CHECK and DEL by the number of mappings on the node (needs root)

  --quick     measure less, in a minute or two
  --dir DIR   keep the plugins' state on the file system of this directory [default: target/bench]
";

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
    let (mut subject, mut quick, mut state) = (None, false, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                print!("{USAGE}");
                return Ok(());
            }
            Arg::Long("quick") => quick = true,
            Arg::Long("dir") => state = Some(PathBuf::from(parser.value()?)),
            Arg::Value(name) if subject.is_none() => subject = Some(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let subject = subject.context("name a subject: chain, ipam, operator or portmap")?;
    let measure: fn(&Setting) -> Result<Report> = match subject.as_str() {
        "chain" => chain::measure,
        "ipam" => ipam::measure,
        "operator" => operator::measure,
        "portmap" => portmap::measure,
        _ => bail!("there is no subject `{subject}`"),
    };
    let setting = Setting::new(Workspace::find()?, state.as_deref(), quick)?;
    let report = measure(&setting)?;
    let text = report.text(&setting.notes);
    let [markdown, plot] =
        ["md", "svg"].map(|kind| setting.dir.join(&subject).with_extension(kind));
    write(&markdown, &text)?;
    write(&plot, &chart::svg(&report)?)?;
    println!("\n{text}\n{}\n{}", markdown.display(), plot.display());
    Ok(())
}

/// What all subjects measure with.
struct Setting {
    workspace: Workspace,
    quick: bool,
    /// The directory of the bench's programs and reports.
    dir: PathBuf,
    /// The directory of the plugins under test.
    plugins: PathBuf,
    /// A program that does nothing, on the machine's own C library: the unit of the targets.
    empty: PathBuf,
    /// The plugins' state lies on a real file system, which `/tmp` may not be.
    state: StateDir,
    /// What can be measured beside time.
    looks: Vec<Look>,
    /// What a reader must know: the machine, and what is left out.
    notes: Vec<String>,
}

impl Setting {
    fn new(workspace: Workspace, state: Option<&Path>, quick: bool) -> Result<Self> {
        let dir = workspace.target.join("bench");
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        packages::install_missing(packages::NEEDED)?;
        println!("building the plugins");
        dist::build(&workspace, Show::IfItFails)?;
        let empty = empty::build(&dir)?;
        let state = StateDir::new(state.unwrap_or(&dir))?;
        let mut notes = vec![format!("Measured on {}.", machine(state.path())?)];
        let mut looks = Vec::new();
        for look in [Look::Memory, Look::SystemCalls] {
            match look.at(&call::ProgramCall::bare(&empty)) {
                Ok(_) => looks.push(look),
                Err(error) => notes.push(format!("{look:?} is left out: {error:#}.")),
            }
        }
        let plugins = workspace.dist_dir();
        Ok(Self {
            workspace,
            quick,
            dir,
            plugins,
            empty,
            state,
            looks,
            notes,
        })
    }
}

/// The processors, the kernel and a directory's file system, as `2 CPUs, Linux 6.1.0, ext4`.
fn machine(dir: &Path) -> Result<String> {
    let cpus = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut df = Command::new("df");
    let output = df
        .arg("--output=fstype")
        .arg(dir)
        .output()
        .context("cannot run `df`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let file_system = text.lines().nth(1).context("`df` names no file system")?;
    Ok(format!(
        "{cpus} CPUs, Linux {}, {file_system}",
        kernel.trim()
    ))
}

fn write(path: &Path, contents: &str) -> Result<()> {
    fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))
}
