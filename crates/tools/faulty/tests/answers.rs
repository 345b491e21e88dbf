//! A runtime gets one JSON error, whatever happens in the plugin or to its streams.
//!
//! `TWILL_FAULTY` names another build of the binary to test, such as a release build, whose panics
//! abort.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and the environment is an input"
)]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;
use tempfile::TempDir;
use testkit::{Invocation, Outcome};

fn binary() -> PathBuf {
    let other = std::env::var_os("TWILL_FAULTY").map(PathBuf::from);
    other.unwrap_or_else(|| env!("CARGO_BIN_EXE_faulty").into())
}

/// A directory with the binary under both its names, and under another one.
fn plugins() -> TempDir {
    let dir = TempDir::with_prefix("twill-faulty-").unwrap();
    for name in ["faulty", "caller", "bridge"] {
        symlink(binary(), dir.path().join(name)).unwrap();
    }
    dir
}

fn call(dir: &Path, name: &str, command: &str) -> Invocation {
    Invocation::attach(dir.join(name), command, "c1").config(&json!({
        "cniVersion": "1.1.0",
        "name": "n",
        "type": name,
        "cni.dev/valid-attachments": [],
    }))
}

/// Exit status 1, one line of JSON with this code, and nothing on standard error.
#[track_caller]
fn assert_failure(outcome: &Outcome, code: u64, version: &str, says: &[&str]) {
    let failure = outcome.failure();
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert_eq!((failure.code, &*failure.details), (code, ""), "{outcome}");
    assert_eq!(failure.cni_version.as_deref(), Some(version), "{outcome}");
    for text in says {
        assert!(failure.msg.contains(text), "{text}: {outcome}");
    }
    assert_eq!(outcome.stderr_text(), "", "{outcome}");
    let lines = outcome.stdout.split(|byte| *byte == b'\n').count();
    assert_eq!(lines, 2, "{outcome}");
}

#[test]
fn a_panic_is_one_error() {
    let dir = plugins();
    for (command, says) in [
        ("ADD", "it says \"two lines\"\n"),
        ("DEL", "index out of bounds"),
        ("CHECK", "in a thread"),
        ("GC", "a panic without a message"),
    ] {
        let outcome = call(dir.path(), "faulty", command).run();
        let says = [says, "faulty: ", "a bug", "src/main.rs:", "DEL removes"];
        assert_failure(&outcome, 190, "1.1.0", &says);
    }
}

#[test]
fn a_panic_of_a_delegate_is_one_error() {
    let dir = plugins();
    // In the same process, the error is the process's; from another one, it is the delegate's.
    let outcome = call(dir.path(), "caller", "ADD").run();
    assert_failure(&outcome, 190, "1.1.0", &["caller: ", "two lines"]);
    let other = dir.path().join("faulty");
    fs::remove_file(&other).unwrap();
    // A program of another size is another build.
    let program = [fs::read(binary()).unwrap(), vec![0]].concat();
    fs::write(&other, program).unwrap();
    fs::set_permissions(&other, Permissions::from_mode(0o755)).unwrap();
    let outcome = call(dir.path(), "caller", "ADD").run();
    assert_failure(&outcome, 190, "1.1.0", &["faulty: faulty: ", "two lines"]);
}

#[test]
fn a_name_that_is_no_plugins() {
    let dir = plugins();
    let says = ["\"bridge\"", "CNI_COMMAND", "faulty, caller"];
    for command in ["ADD", "DEL", "STATUS", "VERSION"] {
        let outcome = call(dir.path(), "bridge", command).run();
        assert_failure(&outcome, 4, "1.1.0", &says);
    }
    // Somebody else than a runtime.
    let run = |arguments: &[&str], command: &str| {
        Command::new(dir.path().join("bridge"))
            .args(arguments)
            .env("CNI_COMMAND", command)
            .output()
            .unwrap()
    };
    for output in [run(&["convert"], "ADD"), run(&[], "")] {
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
}

/// Runs an ADD of `caller`, which has no delegate, by a shell that redirects its streams.
fn with_streams(dir: &Path, redirections: &str) -> Output {
    let script = format!("exec \"$0\" {redirections}");
    Command::new("/bin/sh")
        .args(["-c", &script])
        .arg(dir.join("caller"))
        .env("CNI_COMMAND", "ADD")
        .env("CNI_CONTAINERID", "c1")
        .env("CNI_IFNAME", "eth0")
        .env("CNI_NETNS", "/run/netns/none")
        .env("CNI_PATH", "/nowhere")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn broken_input_is_one_error() {
    let dir = plugins();
    for (redirection, code) in [
        ("<&-", 6),
        ("</dev/null", 6),
        ("</", 5),
        ("</dev/zero", 6),
        ("<&- 2>&-", 6),
    ] {
        let output = with_streams(dir.path(), redirection);
        assert_eq!(output.status.code(), Some(1), "{redirection}: {output:?}");
        let error: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(error["code"], code, "{redirection}: {output:?}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_no_success() {
    let dir = plugins();
    let output = with_streams(dir.path(), ">/dev/full");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("cannot write the answer to standard output: No space left"),
        "{said}"
    );
    // A success too, which VERSION is.
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let status = Command::new(dir.path().join("caller"))
        .env("CNI_COMMAND", "VERSION")
        .stdout(full())
        .stderr(Stdio::null())
        .status();
    assert_eq!(status.unwrap().code(), Some(1));
}
