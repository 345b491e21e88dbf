//! `flannel`, a meta plugin: it completes another plugin's configuration from the lease that
//! flanneld got for this node, keeps it for DEL, and calls that plugin (CNI specification, "Section
//! 4: plugin delegation").

mod add;
mod circle;
mod config;
mod delegate_conf;
mod deletion;
mod error;
mod next_hops;
mod outlook;
mod prev_result;
mod replay;
mod scratch;
mod subnet_env;
mod upkeep;

use cni_plugin::{Call, ContainerNetns, Plugin};
use cni_types::{Attachment, Error, ValidAttachments};

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct Flannel;

impl Plugin for Flannel {
    fn name(&self) -> &'static str {
        "flannel"
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
        replay::del(call, attachment)
    }

    fn check(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        _netns: &ContainerNetns,
    ) -> Result<(), Error> {
        replay::check(call, attachment)
    }

    fn gc(&self, call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
        upkeep::gc(call, valid)
    }

    fn status(&self, call: &Call<'_>) -> Result<(), Error> {
        upkeep::status(call)
    }
}
