//! The number of a call's system calls, as strace(1) counts them.

use anyhow::{Context, Result};

use crate::call::ProgramCall;

/// Runs a call to its end and returns the number of system calls of its process and of those that
/// it starts.
pub(crate) fn count(call: &ProgramCall) -> Result<u64> {
    let arguments = ["-f", "-c", "-U", "calls,name"];
    let mut strace = call.command(Some(("/usr/bin/strace", &arguments)));
    let output = strace
        .stdin(call.input()?)
        .output()
        .context("cannot run strace")?;
    let printed = [&*output.stdout, &*output.stderr].concat();
    call.succeeded(output.status, &printed)?;
    let text = String::from_utf8_lossy(&output.stderr);
    total(&text).with_context(|| format!("`strace -c` prints no total: {text}"))
}

/// The number in the table's last row.
fn total(table: &str) -> Option<u64> {
    let rows = table.lines().filter_map(|row| row.trim().split_once(' '));
    let mut totals = rows.filter(|(_, name)| name.trim() == "total");
    totals.next()?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        let table = "    calls syscall\n--------- -------\n       12 read\n       13 total\n";
        assert_eq!(total(table), Some(13));
        assert_eq!(total("strace: ptrace(PTRACE_SEIZE): not permitted\n"), None);
    }
}
