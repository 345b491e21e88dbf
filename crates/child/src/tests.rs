//! Tests with a shell as the child process.

use std::os::fd::AsFd;
use std::thread;

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use super::*;

const SHELL: &str = "/bin/sh";

fn image(path: &str, variables: &[(&str, &str)]) -> Image {
    let variables = variables.iter();
    let variables = variables.map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
    Image::at(Path::new(path), variables).unwrap()
}

/// Runs a shell command, and returns its end, its stdout and its stderr.
fn run_shell(
    script: &str,
    variables: &[(&str, &str)],
    lifeline: Option<BorrowedFd<'_>>,
) -> (ExitStatus, String, String) {
    let (child, mut streams) = Child::start(&image(SHELL, variables), lifeline).unwrap();
    streams.stdin.write_all(script.as_bytes()).unwrap();
    drop(streams.stdin);
    let (mut stdout, mut stderr) = (String::new(), String::new());
    streams.stdout.read_to_string(&mut stdout).unwrap();
    streams.stderr.read_to_string(&mut stderr).unwrap();
    match child.wait().unwrap() {
        Ended::Run(status) => (status, stdout, stderr),
        Ended::NotRun(error) => panic!("{error}"),
    }
}

#[test]
fn a_program_gets_streams_and_environment_and_no_arguments() {
    let script = r#"echo "$A,$#,$0"; echo "$PWD" >/dev/null; echo oh >&2; exit 7"#;
    let (status, stdout, stderr) = run_shell(script, &[("A", "b c")], None);
    assert_eq!(status.code(), Some(7));
    assert_eq!((&*stdout, &*stderr), ("b c,0,/bin/sh\n", "oh\n"));
    // A shell drops variables whose names are not identifiers.
    let environment = [("A", "1"), ("b.c", "\u{e4}\n")];
    let (child, mut streams) = Child::start(&image("/usr/bin/env", &environment), None).unwrap();
    let mut stdout = String::new();
    streams.stdout.read_to_string(&mut stdout).unwrap();
    assert_eq!(stdout, "A=1\nb.c=\u{e4}\n\n");
    child.wait().unwrap();
}

#[test]
fn a_program_and_its_children_inherit_only_the_lifeline() {
    let directory = tempfile::tempdir().unwrap();
    let open = |name: &str| std::fs::File::create(directory.path().join(name)).unwrap();
    let (lifeline, other) = (open("lifeline"), open("other"));
    let list = "/bin/ls -l /proc/self/fd";
    let (_, without, _) = run_shell(list, &[], None);
    let (_, with, _) = run_shell(list, &[], Some(lifeline.as_fd()));
    let shown = |name: &str| directory.path().join(name).display().to_string();
    assert!(!without.contains(&shown("")), "{without}");
    assert!(with.contains(&shown("lifeline")), "{with}");
    assert!(!with.contains(&shown("other")), "{with}");
    // In the parent, the lifeline keeps its close-on-exec flag.
    let flags = fcntl(&lifeline, FcntlArg::F_GETFD).unwrap();
    assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
    drop(other);
}

#[test]
fn a_child_ends_with_the_thread_that_started_it() {
    let (child, streams) = thread::spawn(|| {
        let (child, mut streams) = Child::start(&image(SHELL, &[]), None).unwrap();
        // Once the program runs, the parent-death signal is set.
        streams.stdin.write_all(b"echo\n").unwrap();
        streams.stdout.read_exact(&mut [0]).unwrap();
        (child, streams)
    })
    .join()
    .unwrap();
    // Without the signal the program would wait for its input.
    let Ended::Run(status) = child.wait().unwrap() else {
        panic!("it is there");
    };
    assert_eq!(status.signal(), Some(9));
    drop(streams);
}

#[test]
fn a_killed_child_has_the_status_of_its_signal() {
    let (child, streams) = Child::start(&image(SHELL, &[]), None).unwrap();
    child.kill();
    let Ended::Run(status) = child.wait().unwrap() else {
        panic!("it is there");
    };
    assert_eq!(status.signal(), Some(9));
    drop(streams);
}

#[test]
fn a_dropped_child_is_killed_and_reaped() {
    let (child, streams) = Child::start(&image(SHELL, &[]), None).unwrap();
    let pid = child.pid;
    drop(child);
    assert_eq!(kill(pid, None), Err(Errno::ESRCH));
    drop(streams);
}

#[test]
fn a_broken_pipe_ends_a_program() {
    // Rust ignores SIGPIPE, and a shell cannot restore a signal that was ignored when it started.
    let (status, stdout, _) = run_shell("kill -PIPE $$; echo alive", &[], None);
    assert_eq!((status.signal(), &*stdout), (Some(13), ""));
}

#[test]
fn a_failed_exec_is_reported() {
    for (path, errno) in [
        ("/nowhere/plugin", Errno::ENOENT),
        ("/dev/null", Errno::EACCES),
        ("/bin", Errno::EACCES),
    ] {
        let (child, mut streams) = Child::start(&image(path, &[]), None).unwrap();
        let mut said = String::new();
        streams.stdout.read_to_string(&mut said).unwrap();
        streams.stderr.read_to_string(&mut said).unwrap();
        assert_eq!(said, "");
        match child.wait().unwrap() {
            Ended::NotRun(error) => assert_eq!(error.raw_os_error(), Some(errno as i32)),
            Ended::Run(status) => panic!("{path}: {status}"),
        }
    }
}

#[test]
fn a_nul_in_a_path_or_a_variable_is_refused() {
    let nul = [("A", "b\0c")];
    for (path, variables) in [("/bin/\0sh", &[][..]), (SHELL, &nul)] {
        let variables = variables.iter();
        let variables = variables.map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
        let error = Image::at(Path::new(path), variables).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
    let error = Image::named("sh", &["a\0b"]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_name_is_looked_up_in_path_and_gets_its_arguments() {
    let script = r#"echo "$0,$1,${PATH:+path}""#;
    let image = Image::named("sh", &["-c", script, "zero", "one two"]).unwrap();
    let (child, mut streams) = Child::start(&image, None).unwrap();
    let mut stdout = String::new();
    streams.stdout.read_to_string(&mut stdout).unwrap();
    assert_eq!(stdout, "zero,one two,path\n");
    child.wait().unwrap();
    let image = Image::named("no-such-program", &[]).unwrap();
    let (child, streams) = Child::start(&image, None).unwrap();
    let Ended::NotRun(error) = child.wait().unwrap() else {
        panic!("it is there");
    };
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    drop(streams);
}
