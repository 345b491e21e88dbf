//! All checks, in order; what CI runs.

mod parts;
mod podman;
mod run;
mod skips;
mod vm;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::prctl::set_child_subreaper;
use nix::unistd::geteuid;

use crate::packages;
use crate::snapshot::Snapshot;
use crate::terminal::{Ink, Terminal, time};
use crate::workspace::Workspace;
pub(crate) use parts::Part;
use run::{Setting, Verdict};
use skips::left_over;

/// Runs the parts, all if none is named; true if all is well.
pub(crate) fn run(workspace: &Workspace, chosen: &[Part], cuts: u32) -> Result<bool> {
    let start = Instant::now();
    let root = geteuid().is_root();
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    let parts = parts::in_order(chosen);
    let with_vm = parts.contains(&Part::Vm);
    let needs_qemu = with_vm || parts.contains(&Part::Powercut);
    if root {
        packages::install_missing(packages::NEEDED)?;
        if needs_qemu {
            packages::install_missing(packages::OF_VM)?;
        }
    } else {
        println!("not run as root: tests that need namespaces are skipped");
        let mut missing = packages::missing(packages::NEEDED);
        if needs_qemu {
            missing.extend(packages::missing(packages::OF_VM));
        }
        let missing = missing.join(" ");
        if !missing.is_empty() {
            println!("missing Debian packages, to be installed as root: {missing}");
        }
    }

    // Packages come before the first look at the machine: they bring files of their own.
    let no_podman = if root && parts.contains(&Part::Podman) {
        packages::install_missing(podman::NEEDED).err()
    } else {
        None
    };

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
        cuts,
        passed_in_vm: RefCell::default(),
        before,
        no_podman: no_podman.map(|error| format!("{error:#}")),
    };

    let mut terminal = Terminal::stdout();
    let mut rows = Vec::new();
    let mut skipped = BTreeSet::new();
    for part in parts {
        terminal.text(format_args!("{:<14} ", part.name()));
        if part.streams() {
            terminal.line("");
        }
        let begin = Instant::now();
        let verdict = run::part(part, &setting);
        let took = begin.elapsed();
        if part.streams() {
            terminal.text(format_args!("{:<14} ", part.name()));
        }
        terminal.line(told(&terminal, &verdict, took));
        match &verdict {
            Verdict::Ok => {}
            Verdict::Skipped(reason) => {
                skipped.insert(format!("SKIPPED {}: {reason}", part.name()));
            }
            Verdict::Failed(output) => terminal.line(output),
        }
        rows.push((part, verdict, took));
    }

    terminal.line("");
    for (part, verdict, took) in &rows {
        terminal.line(format_args!(
            "{:<14} {}",
            part.name(),
            told(&terminal, verdict, *took)
        ));
    }
    let log = fs::read_to_string(&setting.skip_log).unwrap_or_default();
    skipped.extend(left_over(&log, &setting.passed_in_vm.borrow()));
    if skipped.is_empty() {
        terminal.line("skipped: none");
    }
    for line in &skipped {
        terminal.line(line);
    }
    let failed = rows
        .iter()
        .any(|(_, verdict, _)| matches!(verdict, Verdict::Failed(_)));
    // A run without the machine may leave to it what only that can run.
    let is_allowed = |line: &String| !with_vm && skips::is_left_to_vm(line);
    let too_few = ci && !skipped.iter().all(is_allowed);
    if too_few {
        terminal.line("with CI=true nothing may be skipped");
    }
    let well = !failed && !too_few;
    let word = if well {
        terminal.ink(Ink::Green, "ok")
    } else {
        terminal.ink(Ink::Red, "FAILED")
    };
    terminal.line(format_args!("test: {word} in {}", time(start.elapsed())));
    Ok(well)
}

fn told(terminal: &Terminal, verdict: &Verdict, took: Duration) -> String {
    let word = match verdict {
        Verdict::Ok => terminal.ink(Ink::Green, "ok     "),
        Verdict::Skipped(_) => terminal.ink(Ink::Bold, "skipped"),
        Verdict::Failed(_) => terminal.ink(Ink::Red, "FAILED "),
    };
    format!("{word} {:>12}", time(took))
}
