//! `macvlan`, a plugin that gives a container a link of its own on the wire of one of the node's,
//! with an Ethernet address of its own.

mod config;
mod error;

use cni_plugin::{Call, ContainerNetns, Plugin};
use cni_types::{Attachment, Error, ValidAttachments};
use container_link::child;
use netlink::Kind;

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct Macvlan;

impl Plugin for Macvlan {
    fn name(&self) -> &'static str {
        "macvlan"
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
        let is_own = |kind: &Kind| matches!(kind, Kind::Macvlan(_));
        child::del(call, attachment, netns, is_own)
    }

    fn check(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<(), Error> {
        child::check(call, attachment, netns, &config::of(call)?)
    }

    fn gc(&self, call: &Call<'_>, _valid: &ValidAttachments) -> Result<(), Error> {
        child::gc(call)
    }

    fn status(&self, call: &Call<'_>) -> Result<(), Error> {
        child::status(call, &config::of(call)?)
    }
}
