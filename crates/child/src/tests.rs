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

/// Has a shell do this, and returns how it ended and what it said on stdout and stderr.
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
fn it_has_its_streams_and_its_environment_and_no_arguments() {
    let script = r#"echo "$A,$#,$0"; echo "$PWD" >/dev/null; echo oh >&2; exit 7"#;
    let (status, stdout, stderr) = run_shell(script, &[("A", "b c")], None);
    assert_eq!(status.code(), Some(7));
    assert_eq!((&*stdout, &*stderr), ("b c,0,/bin/sh\n", "oh\n"));
    // A shell would lose what is no identifier.
    let environment = [("A", "1"), ("b.c", "\u{e4}\n")];
    let (child, mut streams) = Child::start(&image("/usr/bin/env", &environment), None).unwrap();
    let mut stdout = String::new();
    streams.stdout.read_to_string(&mut stdout).unwrap();
    assert_eq!(stdout, "A=1\nb.c=\u{e4}\n\n");
    child.wait().unwrap();
}

#[test]
fn only_the_lifeline_is_open_in_it_and_in_what_it_starts() {
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
    // Here it is still closed by the next exec.
    let flags = fcntl(&lifeline, FcntlArg::F_GETFD).unwrap();
    assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
    drop(other);
}

#[test]
fn it_ends_with_the_thread_that_started_it() {
    let (child, streams) = thread::spawn(|| {
        let (child, mut streams) = Child::start(&image(SHELL, &[]), None).unwrap();
        // Once it runs, it has arranged its end.
        streams.stdin.write_all(b"echo\n").unwrap();
        streams.stdout.read_exact(&mut [0]).unwrap();
        (child, streams)
    })
    .join()
    .unwrap();
    // It would wait for its input, which is not over.
    let Ended::Run(status) = child.wait().unwrap() else {
        panic!("it is there");
    };
    assert_eq!(status.signal(), Some(9));
    drop(streams);
}

#[test]
fn it_can_be_killed() {
    let (child, streams) = Child::start(&image(SHELL, &[]), None).unwrap();
    child.kill();
    let Ended::Run(status) = child.wait().unwrap() else {
        panic!("it is there");
    };
    assert_eq!(status.signal(), Some(9));
    drop(streams);
}

#[test]
fn dropped_it_is_gone() {
    let (child, streams) = Child::start(&image(SHELL, &[]), None).unwrap();
    let pid = child.pid;
    drop(child);
    assert_eq!(kill(pid, None), Err(Errno::ESRCH));
    drop(streams);
}

#[test]
fn a_broken_pipe_ends_it_as_it_ends_anything() {
    // Rust ignores the signal, and what is ignored at the start cannot be had back by a shell.
    let (status, stdout, _) = run_shell("kill -PIPE $$; echo alive", &[], None);
    assert_eq!((status.signal(), &*stdout), (Some(13), ""));
}

#[test]
fn what_cannot_be_run_is_told() {
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
fn a_path_or_a_variable_cannot_have_a_nul() {
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
fn a_name_is_looked_up_and_has_its_arguments() {
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
