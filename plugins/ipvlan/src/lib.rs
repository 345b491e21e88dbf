//! `ipvlan`, a plugin that gives a container a link of its own on the wire of one of the node's:
//! with the same Ethernet address, and told apart by its IP addresses.

mod config;
mod error;

use cni_plugin::{Call, ContainerNetns, Plugin};
use cni_types::{Attachment, Error, ValidAttachments};
use container_link::child::{self, Addresses, MasterChoice};
use netlink::Kind;

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct Ipvlan;

impl Plugin for Ipvlan {
    fn name(&self) -> &'static str {
        "ipvlan"
    }

    fn add(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<String, Error> {
        child::add(call, attachment, netns, &config::for_add(call)?)
    }

    fn del(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: Option<&ContainerNetns>,
    ) -> Result<(), Error> {
        let is_own = |kind: &Kind| matches!(kind, Kind::Ipvlan(_));
        child::del(call, attachment, netns, is_own)
    }

    fn check(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<(), Error> {
        child::check(call, attachment, netns, &config::alone(call)?)
    }

    fn gc(&self, call: &Call<'_>, _valid: &ValidAttachments) -> Result<(), Error> {
        child::gc(call)
    }

    fn status(&self, call: &Call<'_>) -> Result<(), Error> {
        let conf = config::alone(call)?;
        let is_chained = conf.addresses == Addresses::None;
        // Its master comes with the result of the plugin before it, and there is none now.
        if is_chained && conf.master == MasterChoice::DefaultRoute {
            return Ok(());
        }
        child::status(call, &conf)
    }
}
