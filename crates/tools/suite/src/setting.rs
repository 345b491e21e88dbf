//! What the parts of a run share: the workspace, what was built, what was skipped.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use ::vm::Kernel;
use anyhow::{Context, Result, anyhow, ensure};
use xtask::workspace::{PROFILE, Workspace};

use super::binaries::Binaries;
use super::coverage::Coverage;
use super::skips::Skips;
use super::tidy::Snapshot;

/// A part cannot be run here, for this reason.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Skipped(pub(super) String);

/// What the parts share.
pub(super) struct Setting {
    pub(super) workspace: Workspace,
    pub(super) root: bool,
    /// Where temporary files go.
    pub(super) temporary: PathBuf,
    /// Where tests record that they were skipped.
    pub(super) skip_log: PathBuf,
    /// What measures coverage, or why it cannot be measured.
    pub(super) coverage: Result<Coverage>,
    /// What the part `build` has built.
    pub(super) binaries: OnceLock<Binaries>,
    /// The virtual machines' kernel, once it was needed.
    pub(super) kernel: Mutex<Option<Kernel>>,
    /// What passed in the part `vm`, if that succeeded: `<package> <test>`.
    pub(super) passed_in_vm: Mutex<BTreeSet<String>>,
    pub(super) repeats: Repeats,
    /// The machine before the first part.
    pub(super) before: Snapshot,
}

/// Numbers of the command line: how often a part does the same.
#[derive(Default)]
pub(super) struct Repeats {
    /// How often the part `powercut` cuts the power. If it is given, the part prints a line per
    /// cut.
    pub(super) cuts: Option<u32>,
    /// How often the part `podman` kills some of many containers, in the place of its other checks.
    pub(super) kills: Option<u32>,
}

impl Setting {
    /// An error unless this is root.
    pub(super) fn needs_root(&self) -> Result<(), Skipped> {
        match self.root {
            true => Ok(()),
            false => Err(Skipped("needs root".to_owned())),
        }
    }

    /// A command of cargo's that compiles, with arguments.
    pub(super) fn cargo(&self, command: &str, args: &[&str]) -> Command {
        let profile = [command, "--profile", PROFILE];
        self.workspace.cargo(&[&profile, args].concat())
    }

    /// As [`Self::cargo`]; the workspace's crates are instrumented, if coverage can be measured.
    pub(super) fn cargo_instrumented(&self, command: &str, args: &[&str]) -> Command {
        let mut cargo = self.cargo(command, args);
        if let Ok(coverage) = &self.coverage {
            coverage.instrument(&mut cargo);
        }
        cargo
    }

    pub(super) fn binaries(&self) -> Result<&Binaries> {
        self.binaries.get().context("the part `build` was not run")
    }

    /// Sets the environment of all tests.
    pub(super) fn prepare(&self, test: &mut Command) {
        test.env("TMPDIR", &self.temporary)
            .env("TWILL_SKIP_LOG", &self.skip_log);
        if let Ok(coverage) = &self.coverage {
            coverage.count(test);
        }
    }

    /// A program of the workspace that is no plugin.
    pub(super) fn program(&self, package: &str) -> Result<Command> {
        let mut command = Command::new(self.binaries()?.program(package)?);
        self.prepare(&mut command);
        Ok(command)
    }

    /// What tests have skipped so far.
    pub(super) fn skips(&self) -> Skips {
        // Without a log nothing was skipped.
        let log = fs::read_to_string(&self.skip_log).unwrap_or_default();
        let passed_in_vm = self.passed_in_vm.lock();
        Skips::of(&log, &passed_in_vm.unwrap_or_else(PoisonError::into_inner))
    }

    /// How much of the code has run so far.
    pub(super) fn lines_run(&self) -> Result<String> {
        let coverage = self
            .coverage
            .as_ref()
            .map_err(|error| anyhow!("{error:#}"))?;
        coverage.lines(self.binaries()?)
    }

    pub(super) fn kernel_dir(&self) -> PathBuf {
        self.workspace.target.join("vm")
    }

    /// The virtual machines' kernel. It is fetched once, by the part that needs it first.
    pub(super) fn kernel(&self) -> Result<Kernel> {
        ensure!(
            cfg!(target_arch = "x86_64"),
            Skipped("needs an x86-64 machine".to_owned())
        );
        let mut kernel = self.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = &*kernel {
            return Ok(kernel.clone());
        }
        let fetched = Kernel::of_debian(&self.kernel_dir()).context("cannot get a kernel")?;
        Ok(kernel.insert(fetched).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_differs_from_a_failure() {
        let skip = || -> Result<()> {
            ensure!(false, Skipped("needs a reason".to_owned()));
            Ok(())
        };
        let Skipped(reason) = skip().unwrap_err().downcast().unwrap();
        assert_eq!(reason, "needs a reason");
        assert!(anyhow!("needs a reason").downcast::<Skipped>().is_err());
    }
}
