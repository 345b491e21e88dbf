//! How each part is run.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::signal::{Signal, kill};

use super::parts::Part;
use super::podman;
use super::skips::Test;
use super::vm;
use crate::command::{self, Show};
use crate::snapshot::{self, Snapshot};
use crate::terminal::Terminal;
use crate::workspace::Workspace;
use crate::{demo, dist, packages};

/// What the parts share.
pub(super) struct Setting<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) root: bool,
    /// Where temporary files go.
    pub(super) temporary: PathBuf,
    /// Where tests tell that they were skipped.
    pub(super) skip_log: PathBuf,
    /// What passed in the part `vm`, if that succeeded.
    pub(super) passed_in_vm: RefCell<BTreeSet<Test>>,
    /// How often the part `powercut` cuts the power.
    pub(super) cuts: u32,
    /// The machine before the first part.
    pub(super) before: Snapshot,
    /// Why podman cannot be had, if so.
    pub(super) no_podman: Option<String>,
}

/// What came of a part.
pub(super) enum Verdict {
    Ok,
    /// It was not run, for this reason.
    Skipped(String),
    /// It failed; this is all that it printed and that was not shown before.
    Failed(String),
}

/// Runs a part.
pub(super) fn part(part: Part, setting: &Setting<'_>) -> Verdict {
    if matches!(part, Part::Demo | Part::Fuzz | Part::Podman) && !setting.root {
        return Verdict::Skipped("needs root".to_owned());
    }
    if let (Part::Podman, Some(reason)) = (part, &setting.no_podman) {
        return Verdict::Skipped(format!("needs podman: {reason}"));
    }
    if matches!(part, Part::Vm | Part::Powercut) {
        if !cfg!(target_arch = "x86_64") {
            return Verdict::Skipped("needs an x86-64 machine".to_owned());
        }
        if !packages::missing(packages::OF_VM).is_empty() {
            return Verdict::Skipped("needs the Debian package qemu-system-x86".to_owned());
        }
    }
    let done = match part {
        Part::Fmt => setting.quiet(&["fmt", "--all", "--check"]),
        Part::Clippy => setting.quiet(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
        Part::Dist => dist::build(setting.workspace, Show::IfItFails).map(drop),
        // Tests of one package use the binaries of others, which `cargo test` need not build.
        Part::Test => setting.quiet(&["build", "--workspace"]).and_then(|()| {
            command::run(
                setting.cargo(&["test", "--workspace", "--no-fail-fast"]),
                Show::Always,
            )
        }),
        Part::DistBinaries => {
            let mut cargo =
                setting.cargo(&["test", "--workspace", "--no-fail-fast", "--test", "*"]);
            cargo.env("TWILL_PLUGIN_DIR", setting.workspace.dist_dir());
            command::run(cargo, Show::Always)
        }
        Part::Vm => vm::run(setting).map(|passed| {
            setting.passed_in_vm.replace(passed);
        }),
        Part::Powercut => powercut(setting),
        Part::Fuzz => setting.quiet(&["run", "--quiet", "--package", "fuzz", "--", "--for", "60s"]),
        Part::Demo => quiet_demo(setting),
        Part::Podman => podman::run(&setting.workspace.dist_dir(), &setting.temporary),
        Part::Doc => {
            let mut cargo = setting.cargo(&["doc", "--no-deps", "--workspace"]);
            cargo.env("RUSTDOCFLAGS", "-D warnings");
            command::run(cargo, Show::IfItFails)
        }
        Part::Tidy => tidy(setting),
    };
    match done {
        Ok(()) => Verdict::Ok,
        Err(error) => Verdict::Failed(format!("{error:#}")),
    }
}

impl Setting<'_> {
    pub(super) fn cargo(&self, args: &[&str]) -> Command {
        let mut cargo = self.workspace.cargo(args);
        cargo
            .env("TMPDIR", &self.temporary)
            .env("TWILL_SKIP_LOG", &self.skip_log);
        cargo
    }

    fn quiet(&self, args: &[&str]) -> Result<()> {
        command::run(self.cargo(args), Show::IfItFails)
    }
}

fn powercut(setting: &Setting<'_>) -> Result<()> {
    let mut cargo = setting.cargo(&["run", "--quiet", "--package", "powercut", "--", "host"]);
    cargo
        .arg("--plugins")
        .arg(setting.workspace.dist_dir())
        .arg("--kernel")
        .arg(vm::kernel_folder(setting.workspace))
        .args(["--cuts", &setting.cuts.to_string()]);
    command::run(cargo, Show::IfItFails)
}

fn quiet_demo(setting: &Setting<'_>) -> Result<()> {
    // The machine's kernel need not have ipvlan.
    for delegate in [demo::Delegate::Bridge, demo::Delegate::Macvlan] {
        let text = Shared::default();
        let mut terminal = Terminal::to(text.clone());
        if !demo::run(
            &mut terminal,
            &setting.workspace.dist_dir(),
            delegate,
            false,
        ) {
            bail!(
                "{}",
                String::from_utf8_lossy(&text.0.lock().unwrap_or_else(PoisonError::into_inner))
            );
        }
    }
    Ok(())
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Compares the machine with what it was; ends what still runs.
fn tidy(setting: &Setting<'_>) -> Result<()> {
    // A namespace goes a while after its last process, and with it the ends of its veths.
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let mut left = Snapshot::take(&setting.temporary).since(&setting.before);
        let running = snapshot::children();
        left.extend(
            running
                .iter()
                .map(|(pid, name)| format!("process {pid} ({name})")),
        );
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            for (pid, _) in running {
                // It may have ended by itself just now.
                let _ = kill(pid, Signal::SIGKILL);
            }
            bail!(
                "this is left on the machine, or changed:\n  {}",
                left.join("\n  ")
            );
        }
        sleep(Duration::from_millis(100));
    }
}
