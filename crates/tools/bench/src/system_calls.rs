//! How many system calls a call makes, as strace(1) counts them.

use std::io::{Write, pipe};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::call::Call;

/// Runs a call to its end; the number of system calls of its own process, not of those that it starts.
pub(super) fn count(call: &Call) -> Result<u32> {
    let (input, mut fill) = pipe()?;
    fill.write_all(call.stdin.as_bytes())?;
    drop(fill);
    let mut strace = Command::new("strace");
    strace
        .args(["-c", "-U", "calls,name"])
        .arg(&call.program)
        .args(&call.arguments)
        .env_clear()
        .envs(call.environment.iter().cloned())
        .stdin(input);
    let output = strace.output().context("cannot run `strace`")?;
    let told = match &*output.stdout {
        [] => &output.stderr,
        _ => &output.stdout,
    };
    call.succeeded(output.status, told)?;
    let text = String::from_utf8_lossy(&output.stderr);
    total(&text).with_context(|| format!("`strace -c` does not tell a total: {text}"))
}

/// Why they cannot be counted here, as a note for the reader, if they cannot. A program is tried that is known to work.
pub(super) fn obstacle(program: &Path) -> Option<String> {
    let error = count(&Call::bare(program)).err()?;
    Some(format!("System calls are left out: {error:#}."))
}

/// The number in the table's last row.
fn total(table: &str) -> Option<u32> {
    let rows = table.lines().map(|row| row.trim().split_once(' '));
    let mut totals = rows.flatten().filter(|(_, name)| name.trim() == "total");
    totals.next()?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        let table = "\
    calls syscall
--------- ----------------
       12 read
        1 execve
--------- ----------------
       13 total
";
        assert_eq!(total(table), Some(13));
        assert_eq!(total("strace: ptrace(PTRACE_SEIZE): not permitted\n"), None);
    }
}
