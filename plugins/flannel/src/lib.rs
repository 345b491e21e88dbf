//! `flannel`, a meta plugin: it completes another plugin's configuration from the lease that
//! flanneld obtained for this node, keeps that configuration for DEL, and calls the other plugin
//! (CNI specification, "Section 4: plugin delegation").

mod add;
mod check;
mod circle;
mod config;
mod del;
mod delegate_conf;
mod deletion;
mod error;
mod gc;
pub mod inspect;
mod next_hops;
mod outlook;
mod prev_result;
mod rollback;
mod scratch;
mod status;
mod subnet_env;

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
