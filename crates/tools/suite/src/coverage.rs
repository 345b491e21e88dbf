//! How much of the code has run in the tests: in the tests' own processes and in those of the
//! plugins, also those that were killed.
//!
//! The compiler has each piece of the code count how often it runs. The counters are in files that
//! processes share, mapped into memory (`%c`, `%m` of
//! <https://clang.llvm.org/docs/SourceBasedCodeCoverage.html>), so nothing is to be written when
//! one ends.

mod lines;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::binaries::Binaries;
pub(super) use lines::Lines;
use xtask::platform;
use xtask::workspace::Workspace;

/// The cargo profile of what is instrumented; its files are apart from those of others, so that
/// nobody runs them unawares.
const PROFILE: &str = "coverage";

/// What is for tests and developers only does not count.
const TOOLS: &str = "crates/tools/";

/// Programs that record which of their code has run, and their records.
pub(super) struct Coverage {
    /// The directory of llvm's tools.
    tools: PathBuf,
    /// Runs the compiler with the options for it.
    wrapper: PathBuf,
    root: PathBuf,
    counters: TempDir,
}

impl Coverage {
    /// Finds llvm's tools, or has rustup install them.
    pub(super) fn new(workspace: &Workspace) -> Result<Self> {
        let tools = platform::llvm_tools()?;
        let counters = tempfile::Builder::new()
            .prefix("twill-coverage-")
            .tempdir()?;
        // Some tests run plugins without any rights.
        fs::set_permissions(counters.path(), Permissions::from_mode(0o777))?;
        Ok(Self {
            tools,
            wrapper: workspace.root.join("crates/tools/suite/instrument.sh"),
            root: workspace.root.clone(),
            counters,
        })
    }

    /// Has cargo instrument what it builds of the workspace.
    pub(super) fn instrument(&self, cargo: &mut Command) {
        cargo
            .args(["--profile", PROFILE])
            .env("RUSTC_WORKSPACE_WRAPPER", &self.wrapper);
    }

    /// Has an instrumented program record which of its code has run, and all programs that it
    /// starts.
    pub(super) fn count(&self, program: &mut Command) {
        program.env(
            "LLVM_PROFILE_FILE",
            self.counters.path().join("%c%m.profraw"),
        );
    }

    /// What has run of the lines of the plugins and their libraries, without their tests.
    pub(super) fn lines(&self, binaries: &Binaries) -> Result<Lines> {
        let all = self.counters.path().join("all.profdata");
        let mut counters = Vec::new();
        for entry in fs::read_dir(self.counters.path())? {
            counters.push(entry?.path());
        }
        ensure!(!counters.is_empty(), "nothing that counts has run");
        let merge = ["merge", "-sparse", "-o"].map(OsStr::new);
        let inputs = counters.iter().map(|path| path.as_os_str());
        self.tool(
            "llvm-profdata",
            merge.into_iter().chain([all.as_os_str()]).chain(inputs),
        )?;

        let mut arguments = vec![
            "export".into(),
            "-format=lcov".into(),
            "-instr-profile".into(),
        ];
        arguments.push(all.into_os_string());
        for binary in binaries.all() {
            arguments.extend(["-object".into(), binary.file.clone().into_os_string()]);
        }
        let printed = self.tool("llvm-cov", arguments)?;
        Lines::of(&printed, |file| self.counts(file))
    }

    /// The source, if a file is one that counts, and its name.
    fn counts(&self, file: &Path) -> Option<(String, String)> {
        let name = file.strip_prefix(&self.root).ok()?.to_str()?;
        let is_of_plugins = ["crates/", "plugins/"]
            .iter()
            .any(|dir| name.starts_with(dir))
            && !name.starts_with(TOOLS);
        let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
        if !is_of_plugins || is_test {
            return None;
        }
        Some((name.to_owned(), fs::read_to_string(file).ok()?))
    }

    fn tool<S: AsRef<OsStr>>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        let output = Command::new(self.tools.join(name))
            .args(arguments)
            .output()
            .with_context(|| format!("cannot run `{name}`"))?;
        let printed = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`{name}` failed: {printed}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
