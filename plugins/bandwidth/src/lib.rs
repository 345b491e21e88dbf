//! `bandwidth`, a chained plugin that limits the rates of what a container receives and sends, at
//! the node's end of its veth pair.

mod add;
mod burst;
mod check;
mod config;
mod del;
mod error;
mod gc;
mod go;
mod host_end;
mod names;
mod plan;
mod status;

use cni_plugin::{Call, ContainerNetns, Plugin};
use cni_types::{Attachment, Error, ValidAttachments};

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct Bandwidth;

impl Plugin for Bandwidth {
    fn name(&self) -> &'static str {
        "bandwidth"
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
        _netns: Option<&ContainerNetns>,
    ) -> Result<(), Error> {
        del::del(call, attachment)
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
