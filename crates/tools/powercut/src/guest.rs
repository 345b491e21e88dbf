//! What happens in the machine: an audit of what the last power cut has left, then work until the next one.

mod audit;
mod call;
mod network;
mod storm;
mod telling;

use std::path::PathBuf;
use std::{fs, panic, process, thread};

use anyhow::{Context, Result};
use clap::Args;
use fastrand::Rng;
use nix::unistd::sync;

use crate::attachment::Backend;
use crate::event::Event;
use audit::Audit;
use network::Network;
use telling::Telling;

/// Said before the audit, and when all was well.
pub(crate) const BEGINS: &str = "powercut: begins";
pub(crate) const AUDITED: &str = "powercut: audited";

/// Said when all calls after that are done.
pub(crate) const RESTS: &str = "powercut: rests";

/// What to do after a boot.
#[derive(Args)]
pub(crate) struct Task {
    /// A number of the boot, for containers to be named after
    #[arg(long)]
    pub(crate) boot: u32,
    /// The start of the random numbers
    #[arg(long)]
    pub(crate) seed: u64,
    /// The folder of the plugins
    #[arg(long)]
    pub(crate) plugins: PathBuf,
    /// The last events of earlier containers, a line each
    #[arg(long)]
    pub(crate) old: PathBuf,
    /// Whether what they say is as it was when the power was cut
    #[arg(long)]
    pub(crate) exact: bool,
    /// Whether new containers come before the old ones are deleted
    #[arg(long)]
    pub(crate) new_first: bool,
    /// Whether the disk is new, so that there is nothing to audit
    #[arg(long)]
    pub(crate) fresh: bool,
    /// How many calls each worker makes after the audit
    #[arg(long)]
    pub(crate) calls: u32,
    /// Whether all is written out from time to time meanwhile
    #[arg(long)]
    pub(crate) sync: bool,
    /// Whether to wait for the power to be cut
    #[arg(long)]
    pub(crate) until_cut: bool,
}

/// Does it.
///
/// # Panics
/// If the audit fails, or a call does in the storm.
pub(crate) fn run(task: &Task) -> Result<()> {
    // A thread that panics must not leave the others at work.
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |failure| {
        tell(failure);
        process::abort();
    }));
    let telling = Telling::default();
    telling.line(BEGINS);
    let mut networks = Backend::ALL.map(|backend| Network::new(backend, &task.plugins));
    Rng::with_seed(task.seed).shuffle(&mut networks);
    for network in &networks {
        network.write_lease()?;
    }
    if !task.fresh {
        let text = fs::read_to_string(&task.old)
            .with_context(|| format!("cannot read {}", task.old.display()))?;
        let old: Vec<Event> = Event::all_in(&text).collect::<Result<_>>()?;
        let audit = Audit {
            task,
            networks: &networks,
            old: &old,
            telling: &telling,
        };
        audit.run()?;
        // What is gone now must not come back.
        sync();
    }
    telling.line(AUDITED);
    storm::rage(task, &networks, &telling)?;
    telling.line(RESTS);
    if task.until_cut {
        loop {
            thread::park();
        }
    }
    Ok(())
}
