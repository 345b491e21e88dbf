//! Running other programs.

use std::io::{Read, pipe};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// What is seen of a command's output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// All, while it runs.
    Always,
    /// Nothing, unless it fails: the error then has it all.
    IfItFails,
}

/// Runs a command to its end; an exit code other than 0 is an error.
pub fn run(mut command: Command, show: Show) -> Result<()> {
    let line = command_line(&command);
    let cannot = || format!("cannot run `{line}`");
    command.stdin(Stdio::null());
    let mut text = Vec::new();
    let status = match show {
        Show::Always => command.status().with_context(cannot)?,
        Show::IfItFails => {
            let (mut output, input) = pipe()?;
            command.stdout(input.try_clone()?).stderr(input);
            let mut child = command.spawn().with_context(cannot)?;
            // It holds the pipe's other end, which would never be at its end.
            drop(command);
            output.read_to_end(&mut text)?;
            child.wait()?
        }
    };
    if !status.success() {
        let text = String::from_utf8_lossy(&text);
        let text = text.trim_end();
        let separator = if text.is_empty() { "" } else { "\n" };
        bail!("`{line}` failed, {status}{separator}{text}");
    }
    Ok(())
}

/// A command as people read it: its program without the directory, and its arguments.
pub fn command_line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
