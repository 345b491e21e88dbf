//! How much of the code has run in the tests: in the tests' own processes and in those of the
//! plugins, also those that were killed.
//!
//! The compiler has each piece of the code count how often it runs. The counters are in files that
//! processes share, mapped into memory (`%c`, `%m` of
//! <https://clang.llvm.org/docs/SourceBasedCodeCoverage.html>), so nothing is to be written when
//! a process ends. cargo-llvm-cov has each process write a file at its end, which a killed one does
//! not.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;
use xtask::workspace::Workspace;
use xtask::{command, platform};

use super::binaries::Binaries;

/// Programs that record which of their code has run, and their records.
pub(super) struct Coverage {
    /// The directory of LLVM's tools.
    tools: PathBuf,
    root: PathBuf,
    counters: TempDir,
}

/// How many lines have code, and how many of these have run.
#[derive(Clone, Copy, Default)]
struct Count {
    all: usize,
    run: usize,
}

impl Coverage {
    /// Finds LLVM's tools, or has rustup install them.
    pub(super) fn new(workspace: &Workspace) -> Result<Self> {
        let tools = platform::llvm_tools()?;
        let counters = TempDir::with_prefix("twill-coverage-")?;
        // Some tests run plugins without any rights.
        fs::set_permissions(counters.path(), Permissions::from_mode(0o777))?;
        let root = workspace.root.clone();
        Ok(Self {
            tools,
            root,
            counters,
        })
    }

    /// Has cargo instrument what it builds of the workspace. Build scripts, which it runs, count
    /// too: otherwise they would leave their counters beside the sources.
    pub(super) fn instrument(&self, cargo: &mut Command) {
        let wrapper = self.root.join("crates/tools/suite/instrument.sh");
        cargo.env("RUSTC_WORKSPACE_WRAPPER", wrapper);
        self.count(cargo);
    }

    /// Has an instrumented program record which of its code has run, and all programs that it
    /// starts.
    pub(super) fn count(&self, program: &mut Command) {
        program.env(
            "LLVM_PROFILE_FILE",
            self.counters.path().join("%c%m.profraw"),
        );
    }

    /// How many lines of the plugins and their libraries have run, without those of tests, as
    /// `94.7 % of 11690 lines (a 90, b 95)`, the crates from the lowest share to the highest.
    pub(super) fn lines(&self, binaries: &Binaries) -> Result<String> {
        let all = self.counters.path().join("all.profdata");
        let mut merge = Command::new(self.tools.join("llvm-profdata"));
        merge.args(["merge", "-sparse", "-o"]).arg(&all);
        for entry in fs::read_dir(self.counters.path())? {
            merge.arg(entry?.path());
        }
        command::output(&mut merge)?;
        let mut export = Command::new(self.tools.join("llvm-cov"));
        export
            .args(["export", "-format=lcov", "-instr-profile"])
            .arg(all);
        for binary in binaries.all() {
            export.arg("-object").arg(&binary.file);
        }
        let lcov = command::output(&mut export)?;
        Ok(printed(&lines_by_crate(&lcov, |file| {
            let name = file.strip_prefix(&self.root).ok()?.to_str()?;
            let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
            let is_product = !is_test && !name.starts_with("crates/tools/");
            is_product.then(|| Some((name.to_owned(), fs::read_to_string(file).ok()?)))?
        })?))
    }
}

/// Counts the lines in lcov's format, see geninfo(1). For each source file `source` gives the name,
/// in which `src` follows the crate's directory, and the text, unless the file does not count.
fn lines_by_crate(
    lcov: &str,
    source: impl Fn(&Path) -> Option<(String, String)>,
) -> Result<BTreeMap<String, Count>> {
    let mut crates = BTreeMap::<_, Count>::new();
    let mut file = None;
    for line in lcov.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file = source(Path::new(path)).and_then(|(name, text)| {
                let (directory, _) = name.split_once("/src/")?;
                let name = directory.rsplit('/').next()?.to_owned();
                Some((name, lines_before_tests(&text)))
            });
        } else if let Some(data) = line.strip_prefix("DA:") {
            let mut numbers = data
                .split(',')
                .map_while(|number| number.parse::<usize>().ok());
            let numbers = numbers.next().zip(numbers.next());
            let (number, times) = numbers.with_context(|| format!("`{line}` is not lcov's"))?;
            if let Some((name, end)) = &file
                && number <= *end
            {
                let count = crates.entry(name.clone()).or_default();
                count.all += 1;
                count.run += usize::from(times > 0);
            }
        }
    }
    Ok(crates)
}

/// Tests of a module stand at its end.
fn lines_before_tests(text: &str) -> usize {
    let start = text.find("\n#[cfg(test)]\nmod tests {");
    start.map_or(usize::MAX, |start| {
        text.split_at(start + 1).0.lines().count()
    })
}

fn printed(crates: &BTreeMap<String, Count>) -> String {
    let percent = |count: &Count| count.run as f64 * 100.0 / count.all.max(1) as f64;
    let total = crates.values().fold(Count::default(), |sum, count| Count {
        all: sum.all + count.all,
        run: sum.run + count.run,
    });
    let mut crates: Vec<_> = crates
        .iter()
        .map(|(name, count)| (name, percent(count)))
        .collect();
    crates.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    let crates: Vec<_> = crates
        .iter()
        .map(|(name, share)| format!("{name} {share:.0}"))
        .collect();
    format!(
        "{:.1} % of {} lines ({})",
        percent(&total),
        total.all,
        crates.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_crate_and_without_tests() {
        let lcov = "SF:/w/crates/a/src/lib.rs\nDA:1,5\nDA:2,0\nDA:9,7\nend_of_record\n\
            SF:/elsewhere/lib.rs\nDA:1,0\nend_of_record\n\
            SF:/w/plugins/b/src/main.rs\nDA:3,1\nend_of_record\n\
            SF:/w/twill/src/commands/add.rs\nDA:3,1\nend_of_record\n";
        let source = |file: &Path| {
            let name = file.strip_prefix("/w").ok()?.to_str()?;
            let text = "fn a() {\n}\n\n#[cfg(test)]\nmod tests {\n}\n";
            Some((name.to_owned(), text.to_owned()))
        };
        let crates = lines_by_crate(lcov, source).unwrap();
        assert_eq!(
            printed(&crates),
            "75.0 % of 4 lines (a 50, b 100, twill 100)"
        );
        let error = lines_by_crate("DA:x\n", source).err().unwrap();
        assert_eq!(error.to_string(), "`DA:x` is not lcov's");
    }
}
