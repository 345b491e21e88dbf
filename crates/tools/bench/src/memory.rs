//! The peak of a call's memory.
//!
//! The maximum that wait4(2) reports is no less than what the starting process had, because fork
//! and vfork lend its memory to the child until the exec. Therefore the process is stopped at its
//! exit (ptrace(2), `PTRACE_O_TRACEEXIT`), where its own memory can still be read.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::call::ProgramCall;

/// Waits for a line, by when it is traced, and leaves the rest of stdin to the program.
const LAUNCHER: &[&str] = &["-c", "read -r go && exec \"$0\" \"$@\""];

/// Runs a call to its end and returns the most memory that its process had resident, in KiB. With
/// `family` it is the sum over that process and all that it started: a plugin waits for the plugin
/// that it runs.
pub(crate) fn peak(call: &ProgramCall, family: bool) -> Result<u64> {
    let mut command = call.command(Some(("/bin/sh", LAUNCHER)));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().context("cannot start /bin/sh")?;
    let traced = trace(&mut child, call, family);
    if traced.is_err() {
        // It may be stopped for good, or have been waited for.
        let _ = child.kill();
    }
    let (peak, status) = traced?;
    call.succeeded(status, b"")?;
    Ok(peak)
}

fn trace(child: &mut Child, call: &ProgramCall, family: bool) -> Result<(u64, ExitStatus)> {
    let mut options = Options::PTRACE_O_TRACEEXIT;
    if family {
        // Threads too, because any of them may start a process.
        options |= Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE;
    }
    let first = Pid::from_raw(child.id().cast_signed());
    ptrace::seize(first, options).context("cannot trace a process")?;
    let mut stdin = child.stdin.take().context("stdin is a pipe")?;
    // A program may end without reading its input.
    drop(writeln!(stdin).and_then(|()| stdin.write_all(call.stdin.as_bytes())));
    drop(stdin);
    // Children of other threads are not waited for.
    let whose = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    let mut sum = 0;
    loop {
        match waitpid(None, Some(whose))? {
            WaitStatus::PtraceEvent(pid, _, event) => {
                if event == Event::PTRACE_EVENT_EXIT as i32 && is_process(pid) {
                    sum += resident(pid)?;
                }
                go_on(pid, None)?;
            }
            // The Go runtime sends signals to itself.
            WaitStatus::Stopped(pid, signal) => {
                go_on(pid, (signal != Signal::SIGTRAP).then_some(signal))?;
            }
            WaitStatus::Exited(pid, code) if pid == first => {
                return Ok((sum, ExitStatus::from_raw(code << 8)));
            }
            WaitStatus::Signaled(pid, signal, _) if pid == first => {
                return Ok((sum, ExitStatus::from_raw(signal as i32)));
            }
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {}
            other => bail!("a process was not seen at its exit: {other:?}"),
        }
    }
}

/// A stopped thread may be gone by now, with its process.
fn go_on(pid: Pid, signal: Option<Signal>) -> Result<()> {
    match ptrace::cont(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether a thread is the first one of its process.
fn is_process(pid: Pid) -> bool {
    field(pid, "status", "Tgid:").is_ok_and(|group| group == u64::from(pid.as_raw().unsigned_abs()))
}

/// The larger of the recorded peak and of what is resident now: the kernel counts the latter
/// exactly and the former roughly.
fn resident(pid: Pid) -> Result<u64> {
    Ok(field(pid, "status", "VmHWM:")?.max(field(pid, "smaps_rollup", "Rss:")?))
}

fn field(pid: Pid, file: &str, key: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/{file}");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    let number = value.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok());
    number.with_context(|| format!("{path} has no {key}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FILLED: &str = "dd if=/dev/zero of=/dev/null bs=24M count=1";

    fn peak_of(script: &str, family: bool) -> Result<u64> {
        let call = ProgramCall {
            environment: vec![("PATH", "/usr/bin:/bin".to_owned())],
            stdin: script.to_owned(),
            ..ProgramCall::bare(Path::new("/bin/sh"))
        };
        peak(&call, family)
    }

    #[test]
    fn the_peak_is_the_programs_own() {
        // More than the program takes, and less than the two together.
        let ballast = vec![1u8; 100 << 20];
        let small = peak_of("exit 0\n", false).unwrap();
        assert!((100..10_000).contains(&small), "{small}");
        let large = peak_of(&format!("exec {FILLED}\n"), false).unwrap();
        assert!((24 << 10..36 << 10).contains(&large), "{large}");
        assert_eq!(ballast.last(), Some(&1));
    }

    #[test]
    fn the_peaks_of_a_family_are_added_up() {
        let both = format!("sh -c '{FILLED}; :'; {FILLED}\n");
        let peak = peak_of(&both, true).unwrap();
        assert!((48 << 10..70 << 10).contains(&peak), "{peak}");
        let own = peak_of(&format!("{both}:\n"), false).unwrap();
        assert!((100..10_000).contains(&own), "{own}");
    }

    #[test]
    fn a_failure_is_reported() {
        for (script, says) in [
            ("exit 4\n", "exit status: 4"),
            ("kill -9 $$\n", "signal: 9"),
        ] {
            let error = peak_of(script, true).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
