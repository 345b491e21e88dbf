//! The machine's side: an audit of the state after the last power cut, then work until the next
//! one.

mod audit;
mod call;
mod console;
mod network;
mod storm;

use std::path::Path;
use std::{fs, panic, process, thread};

use anyhow::{Context, Result};
use fastrand::Rng;
use nix::unistd::sync;
use serde::{Deserialize, Serialize};

use crate::event::{Event, StoreKind};
use audit::Audit;
use console::Console;
use network::Network;

/// Lines before the audit, and when it has found nothing wrong.
pub(crate) const BEGINS: &str = "powercut: begins\n";
pub(crate) const AUDITED: &str = "powercut: audited\n";

/// The line when all calls after that are done.
pub(crate) const RESTS: &str = "powercut: rests\n";

/// Where the plugins are in the machine.
pub(crate) const PLUGINS: &str = "/plugins";

/// Has the last events of earlier containers, a line each.
pub(crate) const OLD: &str = "/old";

/// Has the [`Task`], as JSON.
pub(crate) const TASK: &str = "/task";

/// What to do after a boot.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Task {
    /// A number of the boot, for containers to be named after.
    pub(crate) boot: u32,
    /// The start of the random numbers.
    pub(crate) seed: u64,
    /// Whether the old events are all that happened until the power was cut.
    pub(crate) exact: bool,
    /// Whether the audit adds new containers before it deletes the old ones.
    pub(crate) new_first: bool,
    /// Whether the disk is new, so that there is nothing to audit.
    pub(crate) fresh: bool,
    /// How many calls each worker makes after the audit.
    pub(crate) calls: u32,
    /// Whether everything is written out from time to time meanwhile.
    pub(crate) sync: bool,
    /// Whether the machine waits for the power to be cut.
    pub(crate) until_cut: bool,
}

/// Does the machine's task.
///
/// # Panics
/// If the audit fails, or a call does in the storm.
pub(crate) fn run() -> Result<()> {
    let task = fs::read_to_string(TASK).with_context(|| format!("cannot read {TASK}"))?;
    let task: &Task = &serde_json::from_str(&task)?;
    // A thread that panics must not leave the others at work.
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |failure| {
        report(failure);
        process::abort();
    }));
    let console = Console::default();
    console.line(BEGINS);
    let mut networks = StoreKind::ALL.map(|backend| Network::new(backend, Path::new(PLUGINS)));
    Rng::with_seed(task.seed).shuffle(&mut networks);
    for network in &networks {
        network.write_lease()?;
    }
    if !task.fresh {
        let text = fs::read_to_string(OLD).with_context(|| format!("cannot read {OLD}"))?;
        let old: Vec<Event> = Event::all_in(&text).collect::<Result<_>>()?;
        let audit = Audit {
            task,
            networks: &networks,
            old: &old,
            console: &console,
        };
        audit.run()?;
        // Deleted state must not come back.
        sync();
    }
    console.line(AUDITED);
    storm::run(task, &networks, &console)?;
    console.line(RESTS);
    if task.until_cut {
        loop {
            thread::park();
        }
    }
    Ok(())
}
