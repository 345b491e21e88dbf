//! Test binaries, some at a time: a test of a plugin waits for the kernel more than it computes.

use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use super::binaries::Binary;
use super::report::Report;

/// As many binaries run at a time.
const AT_A_TIME: usize = 2;

/// As many tests of each.
const THREADS: &str = "4";

/// Runs test binaries as cargo would, all of them even if some fail, and returns how many tests
/// have passed.
pub(super) fn run<'a>(
    binaries: impl Iterator<Item = &'a Binary>,
    prepare: impl Fn(&mut Command) + Sync,
) -> Result<usize> {
    let waiting: Mutex<Vec<&Binary>> = Mutex::new(binaries.collect());
    let done = Mutex::new(Vec::new());
    let work = || {
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some(binary) = next() {
            let result = run_one(binary, &prepare);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push(result);
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(work);
        }
    });
    let mut passed = 0;
    let mut failures = Vec::new();
    for result in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match result {
            Ok(count) => passed += count,
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(passed)
}

/// The number of tests that have passed, if none has failed.
fn run_one(binary: &Binary, prepare: impl Fn(&mut Command)) -> Result<usize> {
    let shown = format!("{} {}", binary.package, binary.target);
    let mut command = Command::new(&binary.file);
    command
        .args(["--test-threads", THREADS])
        .current_dir(&binary.dir)
        .env("CARGO_MANIFEST_DIR", &binary.dir)
        .env("CARGO_PKG_NAME", &binary.package)
        .stdin(Stdio::null());
    prepare(&mut command);
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", binary.file.display()))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let result = text.lines().find_map(passed);
    match result {
        Some(passed) if output.status.success() => Ok(passed),
        _ => bail!(
            "the tests `{shown}` failed, {}:\n{}",
            output.status,
            Report::of(&text).unexpected()
        ),
    }
}

/// The number in `test result: ok. 7 passed; 0 failed; …`.
fn passed(line: &str) -> Option<usize> {
    let rest = line.strip_prefix("test result: ok. ")?;
    rest.split_once(" passed")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passed_is_counted() {
        let line = "test result: ok. 7 passed; 0 failed; 0 ignored; finished in 0.01s";
        assert_eq!(passed(line), Some(7));
        assert_eq!(passed("test a ... ok"), None);
        assert_eq!(passed("test result: FAILED. 7 passed; 1 failed;"), None);
    }
}
