//! Running other programs.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// What is seen of a command's output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// All, while it runs.
    Always,
    /// Nothing, unless it fails: the error then has it all.
    IfItFails,
}

/// Runs a command to its end.
///
/// # Errors
/// If it cannot be started, or its exit code is not 0.
pub fn run(mut command: Command, show: Show) -> Result<()> {
    if show == Show::IfItFails {
        return output(&mut command).map(drop);
    }
    let line = command_line(&command);
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run `{line}`"))?;
    ensure!(status.success(), "`{line}` failed, {status}");
    Ok(())
}

/// Runs a command to its end, and returns its stdout.
///
/// # Errors
/// As [`run`]; the error has stdout and stderr.
pub fn output(command: &mut Command) -> Result<String> {
    let line = command_line(command);
    let output = command.output();
    let output = output.with_context(|| format!("cannot run `{line}`"))?;
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let all = [stdout.trim_end(), stderr.trim_end()].join("\n");
    ensure!(
        output.status.success(),
        "`{line}` failed, {}\n{}",
        output.status,
        all.trim()
    );
    Ok(stdout)
}

/// A command as people read it: its program without the directory, and its arguments.
fn command_line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
