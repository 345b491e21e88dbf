//! Runs test binaries, and reads what they print.

use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};

use super::binaries::Binary;

/// As many binaries run at a time: a test of a plugin waits for the kernel more than it computes.
const AT_A_TIME: usize = 2;

/// As many tests of each run at a time.
pub(super) const THREADS: &str = "--test-threads=4";

/// Of what went wrong, this many lines are printed; the first failure is usually among them.
const MOST: usize = 200;

/// Runs test binaries as cargo would, all of them even if some fail, and returns how many tests
/// have passed.
///
/// cargo-nextest could do this. It runs each test in a process of its own, and would have to be
/// compiled where it is missing, which takes longer than all tests.
pub(super) fn run<'a>(
    binaries: impl Iterator<Item = &'a Binary> + Send,
    prepare: impl Fn(&mut Command) + Sync,
) -> Result<usize> {
    let waiting = Mutex::new(binaries);
    let next = || {
        waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    };
    let work = || -> Vec<_> {
        let run = |binary| run_one(binary, &prepare);
        std::iter::from_fn(next).map(run).collect()
    };
    let results = thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        let results =
            joined.flat_map(|it| it.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        results.collect::<Vec<_>>()
    });
    let (passed, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let failed: Vec<_> = failed.into_iter().filter_map(Result::err).collect();
    let failed: Vec<_> = failed.iter().map(|error| format!("{error:#}")).collect();
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(passed.into_iter().flatten().sum())
}

fn run_one(binary: &Binary, prepare: impl Fn(&mut Command)) -> Result<usize> {
    let mut command = Command::new(&binary.file);
    command
        .arg(THREADS)
        .current_dir(&binary.dir)
        .env("CARGO_MANIFEST_DIR", &binary.dir)
        .env("CARGO_PKG_NAME", &binary.package)
        .stdin(Stdio::null());
    prepare(&mut command);
    // A pipe would not be at its end before every process is that a failed test has left.
    let [mut stdout, mut stderr] = [tempfile::tempfile()?, tempfile::tempfile()?];
    command.stdout(stdout.try_clone()?);
    command.stderr(stderr.try_clone()?);
    let status = command.status();
    let status = status.with_context(|| format!("cannot run {}", binary.file.display()))?;
    let mut text = Vec::new();
    for printed in [&mut stdout, &mut stderr] {
        printed.rewind()?;
        printed.read_to_end(&mut text)?;
    }
    let text = String::from_utf8_lossy(&text);
    ensure!(
        status.success(),
        "the tests `{} {}` failed, {status}:\n{}",
        binary.package,
        binary.target,
        others(&text)
    );
    Ok(passed(&text).count())
}

/// The names of the tests that have passed.
pub(super) fn passed(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(name_if_passed)
}

/// The lines about anything but tests that passed.
pub(super) fn others(text: &str) -> String {
    let lines = text.lines();
    let lines: Vec<&str> = lines
        .filter(|line| name_if_passed(line).is_none() && !line.trim().is_empty())
        .collect();
    match lines.len().checked_sub(MOST) {
        None | Some(0) => lines.join("\n"),
        Some(more) => format!("({more} lines)\n{}", lines.split_at(more).1.join("\n")),
    }
}

fn name_if_passed(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... ok")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, Instant};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::*;
    use crate::binaries::BinaryKind;

    #[test]
    fn what_a_test_leaves_running_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("test");
        fs::write(
            &file,
            "#!/bin/sh\necho 'test a ... ok'\nsleep 60 &\necho $! >pid\n",
        )
        .unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let binary = Binary {
            package: "a".to_owned(),
            target: "a".to_owned(),
            kind: BinaryKind::UnitTests,
            dir: dir.path().to_owned(),
            file,
        };
        let start = Instant::now();
        assert_eq!(run_one(&binary, |_| {}).unwrap(), 1);
        assert!(start.elapsed() < Duration::from_secs(60));
        let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
        kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    }

    #[test]
    fn tests_that_passed_are_told_from_the_rest() {
        let text = "\nrunning 2 tests\ntest vlan::a ... ok\ntest vlan::b ... FAILED\n";
        assert_eq!(passed(text).collect::<Vec<_>>(), ["vlan::a"]);
        assert_eq!(others(text), "running 2 tests\ntest vlan::b ... FAILED");
        let long = "a line\n".repeat(MOST + 1) + "the end\n";
        let printed = others(&long);
        assert!(printed.starts_with("(2 lines)\na line\n"), "{printed}");
        assert!(printed.ends_with("\nthe end"), "{printed}");
    }
}
