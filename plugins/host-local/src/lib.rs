//! `host-local`, an IPAM plugin (CNI specification, "Section 4: plugin delegation"): it gives each
//! attachment one address out of each of its network's range sets, and remembers it on this node's
//! disk.

mod backend;
mod config;
mod elsewhere;
mod error;
mod operations;
mod resolv_conf;

use std::net::IpAddr;
use std::time::Duration;

use cni_plugin::{Call, ContainerNetns, Plugin};
use cni_types::{AddResult, Attachment, Dns, Error, IpConfig, ValidAttachments};

use crate::config::{Config, Location};
use crate::error::{CheckError, Unavailable};
use crate::operations::{Allocate, Collect, Exhausted, HeldBy, Release};

/// STATUS does not wait for long: a kubelet asks every few seconds, and stalls. Where others are at
/// work all that time, the network works.
const STATUS_TIMEOUT: Duration = Duration::from_millis(500);

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
        _netns: &ContainerNetns,
    ) -> Result<String, Error> {
        let config = Config::of(call)?;
        config.check_givable()?;
        let dns = match &config.resolv_conf {
            Some(file) => resolv_conf::read(file)?,
            None => Dns::default(),
        };
        config.location.check_elsewhere()?;
        let allocations = config.location.perform(Allocate {
            config: &config,
            attachment,
        })?;
        for allocation in &allocations {
            call.log.info(format_args!("{} given", allocation.address));
        }
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
        _netns: Option<&ContainerNetns>,
    ) -> Result<(), Error> {
        let location = Location::for_release(call)?;
        let mut released = location.release(Release(attachment))?;
        if released.as_ref().is_none_or(Vec::is_empty) {
            let elsewhere = location.elsewhere();
            released = elsewhere
                .release(Release(attachment))
                .unwrap_or_else(|error| {
                    // What the configuration does not name does not keep DEL from its end.
                    call.log.error(format_args!("{}", error.msg));
                    None
                });
        }
        for address in released.unwrap_or_default() {
            call.log.info(format_args!("{address} taken back"));
        }
        Ok(())
    }

    fn check(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        _netns: &ContainerNetns,
    ) -> Result<(), Error> {
        let config = Config::of(call)?;
        let expected = config::previous_addresses(call)?;
        let held = config.location.perform_if_any(HeldBy(attachment))?;
        let held = held.unwrap_or_default();
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

    fn gc(&self, call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
        let location = Location::for_release(call)?;
        let elsewhere = location.elsewhere();
        let failed = [location, elsewhere]
            .into_iter()
            .filter_map(|location| location.release(Collect(valid)).err());
        match Error::join(failed) {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    fn status(&self, call: &Call<'_>) -> Result<(), Error> {
        let config = Config::of(call)?;
        config.check_givable().map_err(Unavailable::NothingToGive)?;
        let location = Location {
            lock_timeout: config.location.lock_timeout.min(STATUS_TIMEOUT),
            ..config.location.clone()
        };
        let exhausted = location
            .probe(config.range_sets.iter().count())
            .and_then(|()| location.check_elsewhere_unless_busy())
            .and_then(|()| location.perform_unless_busy(Exhausted(&config)));
        match exhausted {
            Ok(Some(Some(reason))) => Err(Unavailable::Exhausted { reason, location }.into()),
            Ok(_) => Ok(()),
            Err(error) => Err(Unavailable::Store { location, error }.into()),
        }
    }
}
