//! `host-local`, an IPAM plugin (CNI specification, "Section 4: plugin delegation"): it gives each
//! attachment one address of each range set of its network, and records the addresses on the node's
//! disk. The `allocator` chooses and stores the addresses.

mod add;
mod check;
mod config;
mod del;
mod error;
mod gc;
mod other_backend;
mod resolv_conf;
mod status;

pub use config::ranges;

use cni_plugin::{Call, ContainerNetns, Plugin};
use cni_types::{Attachment, Error, ValidAttachments};

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
