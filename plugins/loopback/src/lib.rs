//! `loopback`: the plugin that brings up `lo` in a container, whatever `CNI_IFNAME` is.

mod add;
mod check;
mod del;
mod error;
mod lo;

use cni_plugin::{Call, ContainerNetns, Plugin};
use cni_types::{Attachment, Error};

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct Loopback;

impl Plugin for Loopback {
    fn name(&self) -> &'static str {
        "loopback"
    }

    fn add(
        &self,
        call: &Call<'_>,
        _attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<String, Error> {
        add::add(call, netns)
    }

    fn del(
        &self,
        _call: &Call<'_>,
        _attachment: &Attachment,
        netns: Option<&ContainerNetns>,
    ) -> Result<(), Error> {
        del::del(netns)
    }

    fn check(
        &self,
        _call: &Call<'_>,
        _attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<(), Error> {
        check::check(netns)
    }
}
