//! `bridge`, a plugin that attaches containers to a bridge on the node: a pair of links, one end in
//! the container and the other one a port of the bridge. Addresses come from an IPAM plugin (CNI
//! specification, "Section 4: plugin delegation").

mod add;
mod bridge_link;
mod changes;
mod check;
mod config;
mod del;
mod detach;
mod error;
mod forwarding;
mod gateway;
mod gc;
mod ipv6;
mod layer3;
mod leases;
mod pair;
mod port;
mod router_advertisements;
mod rules;
mod status;
mod undo;
mod vlan_gateway;

use cni_plugin::{Call, ContainerNetns, Plugin};
use cni_types::{Attachment, Error, ValidAttachments};

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct Bridge;

impl Plugin for Bridge {
    fn name(&self) -> &'static str {
        "bridge"
    }

    fn add(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<String, Error> {
        add::add(call, attachment, netns)
    }

    fn del(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: Option<&ContainerNetns>,
    ) -> Result<(), Error> {
        del::del(call, attachment, netns)
    }

    fn check(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<(), Error> {
        check::check(call, attachment, netns)
    }

    fn gc(&self, call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
        gc::gc(call, valid)
    }

    fn status(&self, call: &Call<'_>) -> Result<(), Error> {
        status::status(call)
    }
}
