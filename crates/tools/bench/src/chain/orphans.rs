//! Processes that calls leave behind: a DEL returns before the kernel has freed the link, and
//! another process waits for that.

use std::fs;
use std::process;

use anyhow::Result;
use nix::sys::prctl;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

/// The name of such a process.
const NAME: &str = "(twill-unlink)";

/// Has this process become the parent of what its children leave behind.
pub(super) fn adopt() -> Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// Waits until those that were adopted have ended, and the kernel's account of this process's
/// children has what they took.
pub(super) fn wait() -> Result<()> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        let stat = fs::read_to_string(entry.path().join("stat"));
        if let (Some(pid), Ok(stat)) = (pid, stat)
            && is_orphan_of(process::id(), &stat)
        {
            waitpid(Pid::from_raw(pid), None)?;
        }
    }
    Ok(())
}

/// Whether a process, by its line in `/proc/<pid>/stat`, was left behind and adopted.
fn is_orphan_of(parent: u32, stat: &str) -> bool {
    let fields = stat.split_once(NAME).map(|(_, fields)| fields);
    let found = fields.and_then(|fields| fields.split_whitespace().nth(1));
    found.is_some_and(|found| found == parent.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_orphans_are_waited_for() {
        assert!(is_orphan_of(7, "12 (twill-unlink) D 7 12 12 0 -1 64"));
        assert!(!is_orphan_of(8, "12 (twill-unlink) D 7 12 12 0 -1 64"));
        assert!(!is_orphan_of(7, "12 (bridge) S 7 12 12 0 -1 64"));
    }
}
