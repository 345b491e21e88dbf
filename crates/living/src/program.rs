//! Running a program of a container runtime, and reading its output.

use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;

use crate::LivingError;

/// The timeout for a program. A runtime with hundreds of containers takes a second or two.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often a program is looked after.
const PAUSE: Duration = Duration::from_millis(5);

/// Runs a program of `PATH`, and returns its standard output.
///
/// # Errors
/// If the program cannot be started, fails (with its standard error), or does not end in a minute.
pub(crate) fn run(program: &str, words: &[&str]) -> Result<Vec<u8>, LivingError> {
    run_within(TIMEOUT, program, words)
}

fn run_within(timeout: Duration, program: &str, words: &[&str]) -> Result<Vec<u8>, LivingError> {
    let command = || format!("{program} {}", words.join(" "));
    let failed = |source| LivingError::Run {
        command: command(),
        source,
    };
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => LivingError::NotInstalled(program.to_owned()),
            _ => failed(error),
        })?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let give_up = Instant::now() + timeout;
    let timed_out = || LivingError::TimedOut {
        command: command(),
        seconds: timeout.as_secs(),
    };
    let left = || give_up.saturating_duration_since(Instant::now());
    // What the program has started may hold its streams for longer than the program lives. Until
    // they are read, nobody waits for the program: its ID stays its own, and that of its group.
    let read = |stream: Receiver<Vec<u8>>| stream.recv_timeout(left()).ok();
    let (Some(stdout), Some(stderr)) = (read(stdout), read(stderr)) else {
        end(&mut child);
        return Err(timed_out());
    };
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if left().is_zero() {
            end(&mut child);
            return Err(timed_out());
        }
        thread::sleep(PAUSE);
    };
    if !status.success() {
        return Err(LivingError::Failed {
            command: command(),
            status,
            stderr: String::from_utf8_lossy(&stderr).trim().to_owned(),
        });
    }
    Ok(stdout)
}

/// Kills a program with what it has started, which is in its process group.
fn end(child: &mut Child) {
    let group = Pid::from_raw(child.id().cast_signed());
    // The processes may have ended by now.
    let _ = killpg(group, Signal::SIGKILL);
    drop(child.wait());
}

/// Reads a stream to its end, beside the others.
fn drain(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // The output up to a read error is used.
            let _ = stream.read_to_end(&mut bytes);
        }
        // Nobody waits any more after the timeout.
        drop(sender.send(bytes));
    });
    receiver
}

/// Decodes a program's output as JSON.
pub(crate) fn json<T: DeserializeOwned>(
    program: &'static str,
    output: &[u8],
) -> Result<T, LivingError> {
    serde_json::from_slice(output).map_err(|source| LivingError::Json { program, source })
}

/// The lines that are not empty.
pub(crate) fn lines<'a>(
    program: &'static str,
    output: &'a [u8],
) -> Result<Vec<&'a str>, LivingError> {
    let text = str::from_utf8(output).map_err(|error| LivingError::Table {
        program,
        reason: error.to_string(),
    })?;
    let lines = text.lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_leaves_running_is_not_waited_for() {
        let start = Instant::now();
        let timeout = Duration::from_secs(1);
        let error = run_within(timeout, "sh", &["-c", "sleep 30 & echo '[]'"]).unwrap_err();
        let elapsed = start.elapsed();
        assert!(
            matches!(error, LivingError::TimedOut { seconds: 1, .. }),
            "{error}"
        );
        assert!(
            elapsed >= timeout && elapsed < Duration::from_secs(20),
            "{elapsed:?}"
        );
    }
}
