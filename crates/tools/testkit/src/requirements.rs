//! What a test needs of the machine, and how it reports that it was skipped.
//!
//! A test without what it needs returns early, visibly: one line on stderr, and one in the file
//! that `TWILL_SKIP_LOG` names. With `CI=true` it fails instead, unless what is missing is another
//! kernel: no package brings that, only the virtual machine of `cargo xtask test vm`. Inside of
//! that (`TWILL_IN_VM=1`) every skip is a failure.

use std::fs::OpenOptions;
use std::io::Write;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::netns::NetNs;
use crate::node::Node;

/// What the line about a test that [`leave_to_vm`] skipped ends with.
pub const LEFT_TO_VM: &str = " (left to `cargo xtask test vm`)";

/// Where Debian's package `containernetworking-plugins` has the Go plugins.
pub const REFERENCE_DIR: &str = "/usr/lib/cni";

/// Whether the test can make namespaces and mounts; if not, the test is reported as skipped.
///
/// # Panics
/// If not, with `CI=true`.
#[track_caller]
#[must_use]
pub fn require_root() -> bool {
    static PROBLEM: OnceLock<Option<String>> = OnceLock::new();
    let probe = || {
        let made = NetNs::new().and_then(|_| Node::new());
        made.err()
            .map(|error| format!("needs root and the right to make namespaces: {error:#}"))
    };
    match PROBLEM.get_or_init(probe) {
        None => true,
        Some(problem) => {
            skip(problem);
            false
        }
    }
}

/// The path of one of the Go plugins; if it is not installed, the test is reported as skipped.
///
/// # Panics
/// If it is not installed, with `CI=true`.
#[track_caller]
#[must_use]
pub fn require_reference(name: &str) -> Option<PathBuf> {
    let found = reference_plugin(name);
    if found.is_none() {
        let package = "Debian package containernetworking-plugins";
        skip(&format!(
            "needs the Go plugin {REFERENCE_DIR}/{name} ({package})"
        ));
    }
    found
}

/// The path of one of the Go plugins, if it is installed.
#[must_use]
pub fn reference_plugin(name: &str) -> Option<PathBuf> {
    Some(Path::new(REFERENCE_DIR).join(name)).filter(|path| path.is_file())
}

/// Reports that the running test is skipped, for a reason of its own; the test then returns.
///
/// # Panics
/// With `CI=true`, where nothing may be skipped.
#[track_caller]
pub fn skip(reason: &str) {
    let line = report(reason);
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!ci, "with CI=true nothing may be {line}");
}

/// Reports that the running test is skipped, because the kernel lacks a feature; the test then
/// returns.
///
/// # Panics
/// In the virtual machine, whose kernel has what the tests need.
#[track_caller]
pub fn skip_for_kernel(feature: &str) {
    leave_to_vm(&format!("needs a kernel with {feature}"));
}

/// Reports that the running test is skipped, because `cargo xtask test vm` is where it can run; the
/// test then returns.
///
/// # Panics
/// In the virtual machine.
#[track_caller]
pub fn leave_to_vm(reason: &str) {
    report(&format!("{reason}{LEFT_TO_VM}"));
}

#[track_caller]
fn report(reason: &str) -> String {
    let thread = std::thread::current();
    let place = Location::caller();
    // libtest names the thread after the test, except with one thread for all.
    let test = match thread.name() {
        Some(name) if name != "main" => format!("{name} ({}:{})", place.file(), place.line()),
        _ => format!("{}:{}", place.file(), place.line()),
    };
    // Cargo names the package; names of tests alone are not unique.
    let package = std::env::var("CARGO_PKG_NAME").map_or_else(|_| String::new(), |name| name + " ");
    let line = format!("SKIPPED {package}{test}: {reason}\n");
    // Written past `eprintln!`, whose text libtest shows of failed tests only.
    drop(std::io::stderr().lock().write_all(line.as_bytes()));
    if let Some(path) = std::env::var_os("TWILL_SKIP_LOG") {
        let log = OpenOptions::new().append(true).create(true).open(&path);
        log.and_then(|mut log| log.write_all(line.as_bytes()))
            .unwrap_or_else(|error| {
                panic!(
                    "cannot write to TWILL_SKIP_LOG, {}: {error}",
                    path.display()
                );
            });
    }
    let in_vm = std::env::var_os("TWILL_IN_VM").is_some_and(|set| set == "1");
    assert!(!in_vm, "in the virtual machine nothing may be {line}");
    line
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::*;

    const ON_PURPOSE: &str = "TESTKIT_SKIP_ON_PURPOSE";

    // Does nothing unless one of the tests below runs it, in a process of its own.
    #[test]
    fn skipped_on_purpose() {
        match std::env::var(ON_PURPOSE).as_deref() {
            Ok("reason") => skip("needs a reason"),
            Ok("kernel") => skip_for_kernel("a feature"),
            _ => {}
        }
    }

    fn run_skipped(why: &str, setting: (&str, &str), log: &Path) -> Output {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "requirements::tests::skipped_on_purpose"])
            .env(ON_PURPOSE, why)
            .env("CARGO_PKG_NAME", "testkit")
            .env_remove("CI")
            .env_remove("TWILL_IN_VM")
            .env(setting.0, setting.1)
            .env("TWILL_SKIP_LOG", log)
            .output()
            .unwrap()
    }

    #[test]
    fn a_skip_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("skipped");
        let output = run_skipped("reason", ("CI", ""), &log);
        assert!(output.status.success(), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stderr.starts_with("SKIPPED testkit requirements::tests::skipped_on_purpose ("),
            "{stderr}"
        );
        assert!(stderr.ends_with("): needs a reason\n"), "{stderr}");
        assert_eq!(std::fs::read_to_string(&log).unwrap(), stderr);
        run_skipped("reason", ("CI", ""), &log);
        assert_eq!(std::fs::read_to_string(&log).unwrap(), stderr.repeat(2));
    }

    #[test]
    fn in_ci_a_skip_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("skipped");
        let output = run_skipped("reason", ("CI", "true"), &log);
        assert_eq!(output.status.code(), Some(101), "{output:?}");
        assert!(
            std::fs::read_to_string(&log)
                .unwrap()
                .ends_with("): needs a reason\n")
        );
    }

    #[test]
    fn a_skip_for_the_kernel_is_a_failure_in_the_virtual_machine_only() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("skipped");
        let output = run_skipped("kernel", ("CI", "true"), &log);
        assert!(output.status.success(), "{output:?}");
        let line = std::fs::read_to_string(&log).unwrap();
        let end = "): needs a kernel with a feature (left to `cargo xtask test vm`)\n";
        assert!(line.ends_with(end), "{line}");
        for why in ["kernel", "reason"] {
            let output = run_skipped(why, ("TWILL_IN_VM", "1"), &log);
            assert_eq!(output.status.code(), Some(101), "{output:?}");
        }
    }
}
