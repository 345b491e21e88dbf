//! `twill convert`: moves a network's addresses from one backend of host-local to the other.

use allocator::{Backend, Location};
use anyhow::{Context, Result};
use state::BootId;

/// Moves the addresses of a network to this location, and prints how many they are.
pub(crate) fn run(to: &Location) -> Result<()> {
    let moved = allocator::convert(to, BootId::read())
        .context("nothing was lost; repeat it once this is solved")?;
    let (network, backend) = (&to.network, to.backend);
    let data_dir = to.data_dir.display();
    match (moved, backend) {
        (None, Backend::Db) => println!("network {network} has no addresses in {data_dir}"),
        (None, Backend::Disk) => println!("there is no database in {data_dir}"),
        (Some(moved), _) => {
            let noun = match backend {
                Backend::Db => "the database",
                Backend::Disk => "files",
            };
            println!(
                "moved {moved} addresses of network {network} to {noun}: now set \"backend\": \
                    \"{backend}\" in its ipam"
            );
        }
    }
    Ok(())
}
