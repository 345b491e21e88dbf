//! The CNI plugin of a *sub-interface*: a link of the container that shares the wire of another
//! link, its *master*. ipvlan and macvlan are this plugin with different keys.

mod add;
mod check;
mod config;
mod del;
mod error;
mod gc;
mod master;
mod status;

use cni_plugin::{Call, ContainerNetns, Plugin};
use cni_types::{Attachment, Error, ValidAttachments};

pub use config::{Addresses, Config, MasterChoice};

/// A plugin of sub-interfaces, by its name and its keys.
#[derive(Clone, Copy, Debug)]
pub struct SubInterfacePlugin {
    /// The name of the plugin, which is also the kernel's name for the kind of its links.
    pub name: &'static str,
    /// Reads the configuration for CHECK and STATUS: without the runtime's requests, and without
    /// `prevResult`, which on CHECK is the result of the whole ADD.
    ///
    /// Fails with code 6 for a key of the wrong type, and with code 7 for an invalid value.
    pub config: fn(&Call<'_>) -> Result<Config, Error>,
    /// Reads the configuration for ADD. Fails as [`SubInterfacePlugin::config`] does; with code 4
    /// for `CNI_ARGS`.
    pub config_of_add: fn(&Call<'_>) -> Result<Config, Error>,
}

impl Plugin for SubInterfacePlugin {
    fn name(&self) -> &'static str {
        self.name
    }

    fn add(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<String, Error> {
        add::add(call, attachment, netns, &(self.config_of_add)(call)?)
    }

    fn del(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: Option<&ContainerNetns>,
    ) -> Result<(), Error> {
        del::del(call, attachment, netns, self.name)
    }

    fn check(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<(), Error> {
        check::check(call, attachment, netns, &(self.config)(call)?)
    }

    fn gc(&self, call: &Call<'_>, _valid: &ValidAttachments) -> Result<(), Error> {
        gc::gc(call)
    }

    fn status(&self, call: &Call<'_>) -> Result<(), Error> {
        status::status(call, &(self.config)(call)?)
    }
}
