//! All checks, in parts; what CI runs.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer's command: it prints, and reads the environment that cargo and CI set"
)]

mod binaries;
mod coverage;
mod lanes;
mod parts;
mod podman;
mod report;
mod run;
mod runner;
mod skips;
mod snapshot;
mod tidy;
mod vm;
mod width;

use std::fs;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use anyhow::{Context, Result};
use lexopt::{Arg, Parser, ValueExt};
use nix::sys::prctl::set_child_subreaper;
use nix::unistd::geteuid;

use crate::snapshot::Snapshot;
use coverage::Coverage;
use lanes::Done;
use parts::Part;
use run::{Setting, Verdict};
use xtask::packages;
use xtask::terminal::{Ink, Terminal, time};
use xtask::workspace::Workspace;

/// What to do.
enum Task {
    Help,
    Check {
        /// All parts if it is empty.
        parts: Vec<Part>,
        /// How often the part `powercut` cuts the power, if that is given.
        cuts: Option<u32>,
    },
}

fn main() -> ExitCode {
    let done = parse(Parser::from_env()).and_then(|task| match task {
        Task::Help => {
            print!("{}", parts::usage());
            Ok(true)
        }
        Task::Check { parts, cuts } => run(&Workspace::find()?, &parts, cuts),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut parser: Parser) -> Result<Task> {
    let mut parts = Vec::new();
    let mut cuts = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Task::Help),
            Arg::Long("cuts") => cuts = Some(parser.value()?.parse()?),
            Arg::Value(name) => {
                let name = name.string()?;
                let part = Part::named(&name);
                parts.push(part.with_context(|| format!("there is no part `{name}`"))?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Task::Check { parts, cuts })
}

/// Runs the parts; true if all is well. If `cuts` is given, the part `powercut` also prints a line
/// per cut.
fn run(workspace: &Workspace, chosen: &[Part], cuts: Option<u32>) -> Result<bool> {
    let start = Instant::now();
    let parts = parts::in_order(chosen);
    let root = geteuid().is_root();
    // Packages come before the first look at the machine: they bring files of their own.
    let no_podman = get_packages(&parts, root)?;
    // Temporary files have a place of their own, so that what is left of them is seen.
    let own = tempfile::Builder::new().prefix("twill-test-").tempdir()?;
    let temporary = own.path().join("tmp");
    fs::create_dir(&temporary)?;
    // Orphans of tests become this process's children instead of getting out of sight.
    set_child_subreaper(true)?;
    let before = Snapshot::take(&temporary);
    let setting = Setting {
        workspace,
        root,
        temporary,
        skip_log: own.path().join("skipped"),
        coverage: Coverage::new(workspace),
        binaries: OnceLock::new(),
        kernel: Mutex::default(),
        passed_in_vm: Mutex::default(),
        cuts,
        before,
        no_podman,
    };
    let mut terminal = Terminal::stdout();
    let tell = |done: &Done| {
        terminal.line(about(&terminal, done));
        if let Verdict::Failed(output) = &done.verdict {
            terminal.line(output);
        }
    };
    let done = lanes::run(&parts, |part| run::part(part, &setting), tell);

    let mut skips = setting.skips();
    for Done { part, verdict, .. } in &done {
        if let Verdict::Skipped(reason) = verdict {
            skips.add(part.name(), reason);
        }
    }
    if parts.contains(&Part::Test) {
        match setting.lines_run() {
            Ok(lines) => terminal.line(format_args!("coverage: {lines}")),
            Err(error) => skips.add("coverage", &format!("{error:#}")),
        }
    }
    // A run without the machine may leave to it what only that can run.
    let may_leave = !parts.contains(&Part::Vm);
    terminal.text(skips.printed(may_leave));
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    let too_few = ci && !skips.is_none(may_leave);
    if too_few {
        terminal.line("with CI=true nothing may be skipped");
    }
    let failed = done
        .iter()
        .filter(|done| matches!(done.verdict, Verdict::Failed(_)));
    let failed: Vec<&str> = failed.map(|done| done.part.name()).collect();
    let took = time(start.elapsed());
    let well = failed.is_empty() && !too_few;
    let (word, which) = match (well, failed.as_slice()) {
        (true, _) => (terminal.ink(Ink::Green, "ok"), String::new()),
        (_, []) => (terminal.ink(Ink::Red, "FAILED"), String::new()),
        (_, failed) => (
            terminal.ink(Ink::Red, "FAILED"),
            format!(": {}", failed.join(", ")),
        ),
    };
    terminal.line(format_args!("test: {word} in {took}{which}"));
    Ok(well)
}

/// Installs what the parts need and is missing, or prints what that would be. Returns why podman
/// cannot be installed, if so.
fn get_packages(parts: &[Part], root: bool) -> Result<Option<String>> {
    let needs_qemu = [Part::Vm, Part::Powercut]
        .iter()
        .any(|part| parts.contains(part));
    let of_qemu = if needs_qemu { packages::OF_VM } else { &[] };
    let needed = [packages::NEEDED, of_qemu].concat();
    if !root {
        println!("not run as root: tests that need namespaces are skipped");
        let missing = packages::missing(&needed).join(" ");
        if !missing.is_empty() {
            println!("missing Debian packages, to be installed as root: {missing}");
        }
        return Ok(None);
    }
    packages::install_missing(&needed)?;
    if !parts.contains(&Part::Podman) {
        return Ok(None);
    }
    let problem = packages::install_missing(podman::NEEDED).err();
    Ok(problem.map(|error| format!("{error:#}")))
}

/// The line about a part.
fn about(terminal: &Terminal, done: &Done) -> String {
    let (word, note) = match &done.verdict {
        Verdict::Ok(note) => (terminal.ink(Ink::Green, "ok     "), note.as_deref()),
        Verdict::Skipped(reason) => (terminal.ink(Ink::Bold, "skipped"), Some(reason.as_str())),
        Verdict::Failed(_) => (terminal.ink(Ink::Red, "FAILED "), None),
    };
    let (name, took) = (done.part.name(), time(done.took));
    let note = note.map_or_else(String::new, |note| format!("  {note}"));
    format!("{name:<14} {word} {took:>12}{note}")
}
