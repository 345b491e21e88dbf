//! Running a program of a container runtime, and reading its output.

use std::io::{ErrorKind, Read};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

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
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => LivingError::NotInstalled(program.to_owned()),
            _ => failed(error),
        })?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let give_up = Instant::now() + TIMEOUT;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if Instant::now() >= give_up {
            drop(child.kill());
            drop(child.wait());
            return Err(LivingError::TimedOut {
                command: command(),
                seconds: TIMEOUT.as_secs(),
            });
        }
        thread::sleep(PAUSE);
    };
    let read = |reader: JoinHandle<Vec<u8>>| reader.join().unwrap_or_default();
    let (stdout, stderr) = (read(stdout), read(stderr));
    if !status.success() {
        return Err(LivingError::Failed {
            command: command(),
            status,
            stderr: String::from_utf8_lossy(&stderr).trim().to_owned(),
        });
    }
    Ok(stdout)
}

/// Reads a stream to its end, beside the others.
fn drain(stream: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // The output up to a read error is used.
            let _ = stream.read_to_end(&mut bytes);
        }
        bytes
    })
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
