//! How much memory a call takes at most.
//!
//! The maximum that wait4(2) tells is no less than what the starting process had, for fork and vfork lend its memory to the
//! child until the exec. So the process is stopped at its exit (ptrace(2), `PTRACE_O_TRACEEXIT`), where its own memory is still
//! there to be asked about.

mod family;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

pub(super) use self::family::peak_of_all;
use super::call::Call;

/// Waits for a line, by when it is traced, and leaves the rest of stdin to the program.
const LAUNCHER: &str = "read -r go && exec \"$0\" \"$@\"";

/// Runs a call to its end; the most memory that it had resident, in KiB.
pub(super) fn peak(call: &Call) -> Result<u64> {
    let mut child = launch(call)?;
    let traced = trace(&mut child, call);
    if traced.is_err() {
        // It may be stopped for good. That it has ended already is no error.
        let _ = child.kill();
    }
    let status: ExitStatus = child.wait()?;
    let peak = traced?;
    call.succeeded(status, b"")?;
    Ok(peak)
}

/// Starts a shell that waits for being traced.
fn launch(call: &Call) -> Result<Child> {
    let child = Command::new("/bin/sh")
        .args(["-c", LAUNCHER])
        .arg(&call.program)
        .args(&call.arguments)
        .env_clear()
        .envs(call.environment.iter().cloned())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.context("cannot start /bin/sh")
}

/// Begins to trace the shell and lets it become the program.
fn let_go(child: &mut Child, call: &Call, options: Options) -> Result<Pid> {
    let pid = Pid::from_raw(child.id().cast_signed());
    let options = options | Options::PTRACE_O_TRACEEXIT;
    ptrace::seize(pid, options).context("cannot trace a process")?;
    let mut stdin = child.stdin.take().context("stdin is a pipe")?;
    // A program may end without reading any.
    drop(writeln!(stdin).and_then(|()| stdin.write_all(call.stdin.as_bytes())));
    Ok(pid)
}

/// Why it cannot be measured here, as a note for the reader, if it cannot. A program is tried that is known to work.
pub(super) fn obstacle(program: &Path) -> Option<String> {
    let error = peak(&Call::bare(program)).err()?;
    Some(format!("Peak memory is left out: {error:#}."))
}

fn trace(child: &mut Child, call: &Call) -> Result<u64> {
    let pid = let_go(child, call, Options::empty())?;
    loop {
        match waitpid(pid, None)? {
            WaitStatus::PtraceEvent(_, _, event) if event == Event::PTRACE_EVENT_EXIT as i32 => {
                let peak = resident(pid);
                ptrace::cont(pid, None)?;
                return peak;
            }
            WaitStatus::PtraceEvent(..) => ptrace::cont(pid, None)?,
            // The Go runtime sends signals to itself.
            WaitStatus::Stopped(_, signal) => ptrace::cont(pid, pass_on(signal))?,
            other => bail!("it was not seen at its exit: {other:?}"),
        }
    }
}

fn pass_on(signal: Signal) -> Option<Signal> {
    (signal != Signal::SIGTRAP).then_some(signal)
}

/// The larger of the peak and of what is resident now: the kernel counts the latter anew, and the former only roughly.
fn resident(pid: Pid) -> Result<u64> {
    let field = |file: &str, key: &str| -> Result<u64> {
        let path = format!("/proc/{pid}/{file}");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let value = text.lines().find_map(|line| line.strip_prefix(key));
        let number = value.and_then(|value| value.trim().strip_suffix("kB"));
        let number = number.and_then(|number| number.trim().parse().ok());
        number.with_context(|| format!("{path} does not tell {key}"))
    };
    Ok(field("status", "VmHWM:")?.max(field("smaps_rollup", "Rss:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peak_of(script: &str) -> u64 {
        let call = Call {
            environment: vec![("PATH", "/usr/bin:/bin".to_owned())],
            stdin: script.to_owned(),
            ..Call::bare(Path::new("/bin/sh"))
        };
        peak(&call).unwrap()
    }

    #[test]
    fn the_peak_is_the_programs_own() {
        // More than the program takes, and less than the two together.
        let ballast = vec![1u8; 100 << 20];
        let small = peak_of("exit 0\n");
        assert!((100..10_000).contains(&small), "{small}");
        let large = peak_of("exec dd if=/dev/zero of=/dev/null bs=48M count=1\n");
        assert!((48 << 10..60 << 10).contains(&large), "{large}");
        assert_eq!(ballast.last(), Some(&1));
    }

    #[test]
    fn a_failure_is_told() {
        let call = Call::bare(Path::new("/bin/false"));
        let error = peak(&call).unwrap_err().to_string();
        assert!(error.contains("exit status: 1"), "{error}");
    }
}
