//! All checks, in parts; what CI runs.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a developer's command: it prints, and reads the environment that cargo and CI set"
)]

mod arch;
mod binaries;
mod coverage;
mod distributions;
mod lanes;
mod libtest;
mod parts;
mod podman;
mod setting;
mod skips;
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
use xtask::packages;
use xtask::terminal::{Ink, ink, line, time};
use xtask::workspace::Workspace;

use coverage::Coverage;
use lanes::{Done, Verdict};
use parts::Part;
use setting::{Repeats, Setting, Skipped};
use tidy::Snapshot;

fn main() -> Result<ExitCode> {
    let (mut parts, mut repeats) = (Vec::new(), Repeats::default());
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                print!("{}", parts::usage());
                return Ok(ExitCode::SUCCESS);
            }
            Arg::Long("cuts") => repeats.cuts = Some(parser.value()?.parse()?),
            Arg::Long("kills") => repeats.kills = Some(parser.value()?.parse()?),
            Arg::Value(name) => {
                let name = name.string()?;
                let part = parts::named(&name);
                parts.push(part.with_context(|| format!("there is no part `{name}`"))?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(
        match run(Workspace::find()?, &parts::in_order(&parts), repeats)? {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        },
    )
}

/// Runs the parts; true if all is well.
fn run(workspace: Workspace, parts: &[&'static Part], repeats: Repeats) -> Result<bool> {
    let start = Instant::now();
    let has = |name: &str| parts.iter().any(|part| part.name == name);
    // Packages come before the first look at the machine: they bring files of their own.
    if geteuid().is_root() {
        packages::install_missing(packages::NEEDED)?;
        for part in parts {
            if let Err(error) = packages::install_missing(part.packages) {
                line(format_args!("{}: {error:#}", part.name));
            }
        }
    } else {
        let missing = packages::missing(packages::NEEDED).join(" ");
        line(format_args!(
            "not run as root: tests that need namespaces are skipped"
        ));
        if !missing.is_empty() {
            line(format_args!(
                "missing Debian packages, to be installed as root: {missing}"
            ));
        }
    }
    // Temporary files have a directory of their own, so that leftovers are seen.
    let own = tempfile::Builder::new().prefix("twill-test-").tempdir()?;
    let temporary = own.path().join("tmp");
    fs::create_dir(&temporary)?;
    // Orphans of tests become this process's children instead of getting out of sight.
    set_child_subreaper(true)?;
    let setting = Setting {
        before: Snapshot::take(&temporary)?,
        coverage: Coverage::new(&workspace),
        workspace,
        root: geteuid().is_root(),
        temporary,
        skip_log: own.path().join("skipped"),
        binaries: OnceLock::new(),
        kernel: Mutex::default(),
        passed_in_vm: Mutex::default(),
        repeats,
    };
    let work = |part: &Part| match part.run(&setting) {
        Ok(note) => Verdict::Passed(note),
        Err(error) => match error.downcast::<Skipped>() {
            Ok(Skipped(reason)) => Verdict::Skipped(reason),
            Err(error) => Verdict::Failed(format!("{error:#}")),
        },
    };
    let done = lanes::run(parts, work, report);

    let mut skips = setting.skips();
    let mut failed = Vec::new();
    for Done { part, verdict, .. } in &done {
        match verdict {
            Verdict::Passed(_) => {}
            Verdict::Skipped(reason) => skips.add(part.name, reason),
            Verdict::Failed(_) => failed.push(part.name),
        }
    }
    if has("test") {
        match setting.lines_run() {
            Ok(lines) => line(format_args!("coverage: {lines}")),
            Err(error) => skips.add("coverage", &format!("{error:#}")),
        }
    }
    // A run without the machine may leave to it what only that can run.
    let may_leave = !has("vm");
    line(skips.printed(may_leave));
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    if ci && !skips.is_none(may_leave) {
        failed.push("with CI=true nothing may be skipped");
    }
    let took = time(start.elapsed());
    match failed.is_empty() {
        true => line(format_args!("test: {} in {took}", ink(Ink::Green, "ok"))),
        false => line(format_args!(
            "test: {} in {took}: {}",
            ink(Ink::Red, "FAILED"),
            failed.join(", ")
        )),
    }
    Ok(failed.is_empty())
}

/// Prints a line about a part, and what it printed if it failed.
fn report(done: &Done) {
    let (word, note, output) = match &done.verdict {
        Verdict::Passed(note) => (ink(Ink::Green, "ok     "), note.as_str(), None),
        Verdict::Skipped(reason) => (ink(Ink::Bold, "skipped"), reason.as_str(), None),
        Verdict::Failed(output) => (ink(Ink::Red, "FAILED "), "", Some(output)),
    };
    let (name, took) = (done.part.name, time(done.took));
    line(format!("{name:<14} {word} {took:>12}  {note}").trim_end());
    if let Some(output) = output {
        line(output);
    }
}
