//! `portmap`, a plugin that maps ports of the node to a container. It comes after the plugin that
//! creates the container's interface.

mod add;
mod check;
mod config;
mod del;
mod error;
mod gc;
mod status;

use cni_plugin::{Call, ContainerNetns, Plugin};
use cni_types::{Attachment, Error, ValidAttachments};

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct Portmap;

impl Plugin for Portmap {
    fn name(&self) -> &'static str {
        "portmap"
    }

    fn add(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        _netns: &ContainerNetns,
    ) -> Result<String, Error> {
        add::add(call, attachment)
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
        _netns: &ContainerNetns,
    ) -> Result<(), Error> {
        check::check(call, attachment)
    }

    fn gc(&self, call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
        gc::gc(call, valid)
    }

    fn status(&self, call: &Call<'_>) -> Result<(), Error> {
        status::status(call)
    }
}
