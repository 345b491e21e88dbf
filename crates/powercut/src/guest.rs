//! What happens in the machine: an audit of what the last power cut has left, then work until the next one.

mod audit;
mod call;
mod network;
mod storm;
mod telling;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::attachment::Backend;
use crate::event::Event;
use audit::Audit;
use network::Network;
use telling::Telling;

/// Said before the audit, and when all was well.
pub(crate) const BEGINS: &str = "powercut: begins";
pub(crate) const AUDITED: &str = "powercut: audited";

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
    /// Whether to go on until the power is cut
    #[arg(long)]
    pub(crate) storm: bool,
}

/// Does it.
///
/// # Panics
/// If the audit fails, or a call does in the storm.
pub(crate) fn run(task: &Task) -> Result<()> {
    let telling = Telling::default();
    telling.line(BEGINS);
    let networks = Backend::ALL.map(|backend| Network::new(backend, &task.plugins));
    for network in &networks {
        network.write_lease()?;
    }
    let text = fs::read_to_string(&task.old)
        .with_context(|| format!("cannot read {}", task.old.display()))?;
    let old: Vec<Event> = Event::all_in(&text).collect::<Result<_>>()?;
    Audit {
        task,
        networks: &networks,
        old: &old,
        telling: &telling,
    }
    .run()?;
    telling.line(AUDITED);
    if task.storm {
        storm::rage(task, &networks, &telling)?;
    }
    Ok(())
}
