//! `twill convert`: moves a network's addresses from one backend of host-local to the other.

use std::path::PathBuf;

use allocator::{DEFAULT_DATA_DIR, DEFAULT_LOCK_TIMEOUT, Location, StoreKind};
use anyhow::{Context, Result};
use clap::Args;
use cni_types::NetworkName;
use serde_json::json;
use state::BootId;

use crate::cli::Outcome;
use crate::output::Output;

/// Moves a network's addresses to the database, or from there back to files.
///
/// Do it while no container of the network comes or goes, and set "backend" in the network's ipam
/// right after it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  twill convert db cbr0\n  twill convert disk cbr0")]
pub(crate) struct Options {
    /// Where the addresses go: "db" or "disk".
    backend: StoreKind,
    /// The name of the network.
    network: NetworkName,
    /// host-local's dataDir.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    data_dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Moves the addresses, and prints how many they are.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let to = Location {
        data_dir: options.data_dir.clone(),
        network: options.network.clone(),
        backend: options.backend,
        lock_timeout: DEFAULT_LOCK_TIMEOUT,
    };
    let moved = allocator::convert(&to, BootId::read())
        .context("nothing was lost; repeat it once this is solved")?;
    let (network, backend) = (&to.network, to.backend);
    let data_dir = to.data_dir.display();
    if options.json {
        output.json(&json!({
            "network": network.as_str(), "backend": backend.to_string(),
            "dataDir": data_dir.to_string(), "moved": moved,
        }));
        return Ok(Outcome::Done);
    }
    output.line(&match (moved, backend) {
        (None, StoreKind::Db) => format!("network {network} has no addresses in {data_dir}"),
        (None, StoreKind::Disk) => format!("there is no database in {data_dir}"),
        (Some(moved), _) => {
            let noun = match backend {
                StoreKind::Db => "the database",
                StoreKind::Disk => "files",
            };
            format!(
                "moved {moved} addresses of network {network} to {noun}: now set \"backend\": \
                    \"{backend}\" in its ipam"
            )
        }
    });
    Ok(Outcome::Done)
}
