//! Whether the machine is as it was before.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::signal::{Signal, kill};

use crate::snapshot::{self, Snapshot};

/// Compares the machine with what it was; ends what still runs.
pub(super) fn check(before: &Snapshot, temporary: &Path) -> Result<()> {
    // A namespace goes a while after its last process, and with it the ends of its veths.
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let mut left = Snapshot::take(temporary).since(before);
        let running = snapshot::children();
        left.extend(
            running
                .iter()
                .map(|(pid, name)| format!("process {pid} ({name})")),
        );
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            for (pid, _) in running {
                // It may have ended by itself just now.
                let _ = kill(pid, Signal::SIGKILL);
            }
            bail!(
                "this is left on the machine, or changed:\n  {}",
                left.join("\n  ")
            );
        }
        sleep(Duration::from_millis(100));
    }
}
