//! How each part is run.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use ::vm::Kernel;
use anyhow::{Context, Result, bail};

use super::binaries::Binaries;
use super::coverage::{Coverage, Lines};
use super::parts::Part;
use super::skips::{Skips, Test};
use super::{podman, runner, tidy, vm, width};
use crate::snapshot::Snapshot;
use xtask::command::{self, Show};
use xtask::workspace::Workspace;
use xtask::{dist, packages};

/// Where lines have a limit.
const CHECKED_WIDTH: [&str; 2] = ["crates", "plugins"];

/// How often the part `powercut` cuts the power by default.
const CUTS: u32 = 5;

/// What the parts share.
pub(super) struct Setting<'a> {
    pub(super) workspace: &'a Workspace,
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
    /// What passed in the part `vm`, if that succeeded.
    pub(super) passed_in_vm: Mutex<BTreeSet<Test>>,
    /// How often the part `powercut` cuts the power, if that was given.
    pub(super) cuts: Option<u32>,
    /// The machine before the first part.
    pub(super) before: Snapshot,
    /// Why podman cannot be had, if so.
    pub(super) no_podman: Option<String>,
}

/// What came of a part.
pub(super) enum Verdict {
    /// All is well; perhaps there is something to say of it.
    Ok(Option<String>),
    /// It was not run, for this reason.
    Skipped(String),
    /// It failed; this is what it printed.
    Failed(String),
}

impl Verdict {
    /// Of a part whose work needs that of another one, which failed.
    pub(super) fn without(needed: Part) -> Self {
        Self::Failed(format!("not run, as `{}` has failed", needed.name()))
    }
}

/// Runs a part.
pub(super) fn part(part: Part, setting: &Setting<'_>) -> Verdict {
    match setting.why_not(part) {
        Some(reason) => Verdict::Skipped(reason),
        None => match setting.run(part) {
            Ok(note) => Verdict::Ok(note),
            Err(error) => Verdict::Failed(format!("{error:#}")),
        },
    }
}

impl Setting<'_> {
    /// Why a part cannot be run here.
    fn why_not(&self, part: Part) -> Option<String> {
        match part {
            Part::Demo | Part::Fuzz | Part::Podman if !self.root => Some("needs root".to_owned()),
            Part::Podman => {
                let problem = self.no_podman.as_ref()?;
                Some(format!("needs podman: {problem}"))
            }
            Part::Vm | Part::Powercut if !cfg!(target_arch = "x86_64") => {
                Some("needs an x86-64 machine".to_owned())
            }
            Part::Vm | Part::Powercut if !packages::missing(packages::OF_VM).is_empty() => {
                Some("needs the Debian package qemu-system-x86".to_owned())
            }
            _ => None,
        }
    }

    fn run(&self, part: Part) -> Result<Option<String>> {
        match part {
            Part::Fmt => CHECKED_WIDTH
                .iter()
                .try_for_each(|dir| width::check(&self.workspace.root.join(dir)))
                .and_then(|()| self.cargo(&["fmt", "--all", "--check"])),
            Part::Build => self.build(),
            Part::Dist => dist::build(self.workspace, Show::IfItFails).map(drop),
            Part::Clippy => self.clippy(),
            Part::Test => return self.test().map(Some),
            Part::Vm => self.vm(),
            Part::DistBinaries => return self.test_dist().map(Some),
            Part::Fuzz => self.fuzz(),
            Part::Powercut => self.powercut(),
            Part::Podman => podman::run(&self.workspace.dist_dir(), &self.temporary),
            Part::Demo => self.demo(),
            Part::Doc => self.doc(),
            Part::Tidy => tidy::check(&self.before, &self.temporary),
        }?;
        Ok(None)
    }

    fn cargo(&self, args: &[&str]) -> Result<()> {
        command::run(self.workspace.cargo(args), Show::IfItFails)
    }

    /// Looks at everything, and at the product without the database.
    fn clippy(&self) -> Result<()> {
        let all: &[&str] = &["--workspace", "--all-targets"];
        let without_database = &["--package", "twill", "--no-default-features"];
        [all, without_database].into_iter().try_for_each(|targets| {
            self.cargo(&[&["clippy"], targets, &["--", "-D", "warnings"]].concat())
        })
    }

    fn build(&self) -> Result<()> {
        let mut cargo = self
            .workspace
            .cargo(&["build", "--workspace", "--bins", "--tests"]);
        if let Ok(coverage) = &self.coverage {
            coverage.instrument(&mut cargo);
        }
        let built = Binaries::build(cargo)?;
        self.binaries.get_or_init(|| built);
        Ok(())
    }

    fn binaries(&self) -> Result<&Binaries> {
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
    fn program(&self, package: &str) -> Result<Command> {
        let mut command = Command::new(self.binaries()?.program(package)?);
        self.prepare(&mut command);
        Ok(command)
    }

    fn test(&self) -> Result<String> {
        let passed = runner::run(self.binaries()?.tests(), |test| self.prepare(test))?;
        // Examples in the documentation have no binary of their own.
        let mut cargo = self
            .workspace
            .cargo(&["test", "--quiet", "--workspace", "--doc"]);
        if let Ok(coverage) = &self.coverage {
            coverage.instrument(&mut cargo);
        }
        self.prepare(&mut cargo);
        command::run(cargo, Show::IfItFails)?;
        self.cargo(&[
            "test",
            "--quiet",
            "--package",
            "allocator",
            "--lib",
            "--no-default-features",
            "location",
        ])?;
        Ok(tests(passed))
    }

    /// The other side of comparisons is the same as in the part `test`, so it is left out.
    fn test_dist(&self) -> Result<String> {
        // In a release build a panic aborts: only there is its answer what a runtime gets.
        let faulty = dist::build_program(self.workspace, "faulty", Show::IfItFails)?;
        let plugins = self.workspace.root.join("plugins");
        let binaries = self.binaries()?;
        let answers = binaries.integration_test("faulty", "answers")?;
        let all = binaries.integration_tests(&plugins).chain([answers]);
        let passed = runner::run(all, |test| {
            self.prepare(test);
            test.env("TWILL_PLUGIN_DIR", self.workspace.dist_dir())
                .env("TWILL_FAULTY", &faulty)
                .env("TWILL_UNDER_TEST", "ours");
        })?;
        Ok(tests(passed))
    }

    /// What tests have skipped so far.
    pub(super) fn skips(&self) -> Skips {
        // Where there is none, nothing was.
        let log = fs::read_to_string(&self.skip_log).unwrap_or_default();
        let passed_in_vm = self.passed_in_vm.lock();
        Skips::of(&log, &passed_in_vm.unwrap_or_else(PoisonError::into_inner))
    }

    /// What has run of the code so far.
    pub(super) fn lines_run(&self) -> Result<Lines> {
        match &self.coverage {
            Ok(coverage) => coverage.lines(self.binaries()?),
            Err(error) => bail!("{error:#}"),
        }
    }

    pub(super) fn kernel_dir(&self) -> PathBuf {
        self.workspace.target.join("vm")
    }

    /// The virtual machines' kernel. It is fetched once, by whoever needs it first.
    fn kernel(&self) -> Result<Kernel> {
        let mut kernel = self.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = &*kernel {
            return Ok(kernel.clone());
        }
        let fetched = Kernel::of_debian(&self.kernel_dir()).context("cannot get a kernel")?;
        Ok(kernel.insert(fetched).clone())
    }

    fn vm(&self) -> Result<()> {
        let passed = vm::run(self, self.kernel()?, self.binaries()?)?;
        *self
            .passed_in_vm
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = passed;
        Ok(())
    }

    fn fuzz(&self) -> Result<()> {
        let mut fuzz = self.program("fuzz")?;
        fuzz.args(["--for", "60s"]);
        command::run(fuzz, Show::IfItFails)
    }

    /// Who asks for a number of cuts wants to see them.
    fn powercut(&self) -> Result<()> {
        let (cuts, show) = match self.cuts {
            Some(cuts) => (cuts, Show::Always),
            None => (CUTS, Show::IfItFails),
        };
        self.kernel()?;
        let mut powercut = self.program("powercut")?;
        powercut
            .arg("--plugins")
            .arg(self.workspace.dist_dir())
            .arg("--kernel")
            .arg(self.kernel_dir())
            .args(["--cuts", &cuts.to_string()]);
        command::run(powercut, show)
    }

    fn doc(&self) -> Result<()> {
        let mut cargo = self.workspace.cargo(&["doc", "--no-deps", "--workspace"]);
        cargo.env("RUSTDOCFLAGS", "-D warnings");
        command::run(cargo, Show::IfItFails)
    }

    fn demo(&self) -> Result<()> {
        // The machine's kernel need not have ipvlan.
        for delegate in ["bridge", "macvlan"] {
            let mut demo = self.program("demo")?;
            demo.args(["--delegate", delegate, "--plugins"])
                .arg(self.workspace.dist_dir());
            command::run(demo, Show::IfItFails)?;
        }
        Ok(())
    }
}

fn tests(passed: usize) -> String {
    format!("{passed} tests")
}
