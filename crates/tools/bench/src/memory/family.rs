//! The same of all processes of a call.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{launch, let_go, pass_on, resident};
use crate::call::Call;

/// Runs a call to its end; the most memory that its process and those it started had resident, in KiB, added up: a plugin is
/// there while it waits for the one that it started.
pub(crate) fn peak_of_all(call: &Call) -> Result<u64> {
    let mut child = launch(call)?;
    let traced = trace(&mut child, call);
    if traced.is_err() {
        // It may be stopped for good, or have been waited for.
        let _ = child.kill();
    }
    let (peak, status) = traced?;
    call.succeeded(status, b"")?;
    Ok(peak)
}

fn trace(child: &mut Child, call: &Call) -> Result<(u64, ExitStatus)> {
    // Threads too, for any of them may start a process.
    let descendants =
        Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACECLONE;
    let first = let_go(child, call, descendants)?;
    // Other threads' children are none of ours.
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
            WaitStatus::Stopped(pid, signal) => go_on(pid, pass_on(signal))?,
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

/// A thread that was stopped may be gone by now, with its process.
fn go_on(pid: Pid, signal: Option<Signal>) -> Result<()> {
    match ptrace::cont(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether this is the thread that its process is known by.
fn is_process(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mut group = status.lines().filter_map(|line| line.strip_prefix("Tgid:"));
    group
        .next()
        .is_some_and(|group| group.trim() == pid.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn peak_of(script: &str) -> Result<u64> {
        peak_of_all(&Call {
            environment: vec![("PATH", "/usr/bin:/bin".to_owned())],
            stdin: script.to_owned(),
            ..Call::bare(Path::new("/bin/sh"))
        })
    }

    #[test]
    fn the_peaks_of_all_processes_are_added_up() {
        let filled = "dd if=/dev/zero of=/dev/null bs=24M count=1";
        let both = format!("sh -c '{filled}; :'; {filled}\n");
        let peak = peak_of(&both).unwrap();
        assert!((48 << 10..70 << 10).contains(&peak), "{peak}");
    }

    #[test]
    fn what_any_thread_starts_counts() {
        let Some(plugin) = testkit::requirements::require_reference("bridge") else {
            return;
        };
        // The Go plugin calls its IPAM plugin from whatever thread it is on.
        let folder = tempfile::tempdir().unwrap();
        let ipam = folder.path().join("hungry");
        fs::write(
            &ipam,
            "#!/bin/sh\nexec dd if=/dev/zero of=/dev/null bs=40M count=1\n",
        )
        .unwrap();
        fs::set_permissions(&ipam, fs::Permissions::from_mode(0o755)).unwrap();
        let conf = json!({
            "cniVersion": "1.0.0",
            "name": "net",
            "type": "bridge",
            "ipam": { "type": "hungry" },
        });
        let call = Call::plugin(&plugin, "DEL", "c1", &conf)
            .with("CNI_NETNS", "")
            .with("CNI_PATH", folder.path().display().to_string())
            .with("PATH", "/usr/bin:/bin");
        let peak = peak_of_all(&call).unwrap();
        assert!((40 << 10..80 << 10).contains(&peak), "{peak}");
    }

    #[test]
    fn a_failure_is_told() {
        let error = peak_of("sh -c 'exit 4'\n").unwrap_err().to_string();
        assert!(error.contains("exit status: 4"), "{error}");
        let error = peak_of("kill -9 $$\n").unwrap_err().to_string();
        assert!(error.contains("signal: 9"), "{error}");
    }
}
