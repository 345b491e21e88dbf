//! `host-local`, an IPAM plugin (CNI specification, "Section 4: plugin delegation"): it gives each attachment one address
//! out of each of its network's range sets, and remembers it on this node's disk.

mod config;
mod error;
mod resolv_conf;

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use allocator::{NetworkDir, Store, allocate};
use cni_plugin::{Call, Plugin};
use cni_types::{AddResult, Attachment, Dns, Error, IpConfig};

use crate::config::{Config, Location};
use crate::error::CheckError;

/// How long others are waited for that work on the same network.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct HostLocal;

impl Plugin for HostLocal {
    fn name(&self) -> &'static str {
        "host-local"
    }

    fn add(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        _netns: &Path,
    ) -> Result<String, Error> {
        let config = Config::of(call)?;
        let dns = match &config.resolv_conf {
            Some(file) => resolv_conf::read(file)?,
            None => Dns::default(),
        };
        let folder = NetworkDir::create(&config.location.data_dir, &config.location.network)?;
        let mut store = folder.lock(LOCK_PATIENCE)?;
        let allocations = allocate(
            &mut store,
            &config.range_sets,
            attachment,
            &config.requested,
        )
        .map_err(error::of_allocation)?;
        let ips = allocations.into_iter().map(|allocation| IpConfig {
            interface: None,
            address: allocation.address,
            gateway: Some(allocation.gateway),
        });
        AddResult {
            ips: ips.collect(),
            routes: config.routes,
            dns,
            ..AddResult::default()
        }
        .encode(call.conf.version)
    }

    fn del(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        _netns: Option<&Path>,
    ) -> Result<(), Error> {
        let location = Location::of(call)?;
        let Some(folder) = NetworkDir::open(&location.data_dir, &location.network)? else {
            return Ok(());
        };
        let mut store = folder.lock(LOCK_PATIENCE)?;
        for address in store.held_by(attachment)? {
            store.release(address)?;
        }
        Ok(())
    }

    fn check(&self, call: &Call<'_>, attachment: &Attachment, _netns: &Path) -> Result<(), Error> {
        let config = Config::of(call)?;
        let expected = config::previous_addresses(call)?;
        let held = match NetworkDir::open(&config.location.data_dir, &config.location.network)? {
            Some(folder) => folder.lock(LOCK_PATIENCE)?.held_by(attachment)?,
            None => Vec::new(),
        };
        if held.is_empty() {
            return Err(CheckError::HoldsNothing {
                attachment: attachment.clone(),
                location: config.location,
            }
            .into());
        }
        let missing: Vec<IpAddr> = expected
            .into_iter()
            .filter(|address| config.range_sets.contains(*address) && !held.contains(address))
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(CheckError::Missing {
                attachment: attachment.clone(),
                location: config.location,
                missing,
            }
            .into())
        }
    }
}
