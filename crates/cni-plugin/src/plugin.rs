//! The trait that a plugin implements.

use std::fmt;

use cni_types::{Attachment, CniArgs, Code, Error, NetConf, PluginType, ValidAttachments};

use crate::{Bundle, ContainerNetns, Delegate, DelegateError, Environment, Log};

/// A CNI plugin: one method per command (CNI specification, "Section 2: CNI operations").
///
/// [`dispatch`](crate::dispatch) validates the parameters of a call before it calls a method, and
/// refuses a command that the version of the configuration does not have. The runtime gets the
/// error that a method returns.
pub trait Plugin: fmt::Debug {
    /// The name of the plugin's binary, which is also the plugin's `type` in configurations.
    fn name(&self) -> &'static str;

    /// Adds the attachment, and returns the result as JSON in the configuration's version.
    ///
    /// # Errors
    /// Why the attachment cannot be added. The plugin has then rolled back what it did.
    fn add(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<String, Error>;

    /// Removes everything that ADD created, and succeeds if there is nothing to remove. `netns` is
    /// `None` if the container has no namespace any more: `CNI_NETNS` is not set, or leads to
    /// nothing, to something else, or to the plugin's own namespace.
    ///
    /// # Errors
    /// Why something of the attachment is still there. A repeated DEL does the rest.
    fn del(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: Option<&ContainerNetns>,
    ) -> Result<(), Error>;

    /// Compares the attachment with what ADD created.
    ///
    /// # Errors
    /// Code 120 for something that is missing or has changed.
    fn check(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<(), Error>;

    /// Removes everything of the network's attachments that are not in the list of valid ones.
    /// `dispatch` does not call the method for a configuration without such a list.
    ///
    /// # Errors
    /// Why something of a stale attachment is still there; all others have been removed.
    fn gc(&self, _call: &Call<'_>, _valid: &ValidAttachments) -> Result<(), Error> {
        Ok(())
    }

    /// Reports whether an ADD could succeed now.
    ///
    /// # Errors
    /// Why it could not, with code 50 if no other code fits.
    fn status(&self, _call: &Call<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// A plugin that is a function per command. Each has the parameters and the errors of the method of
/// [`Plugin`] with its name.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the methods have them")]
pub struct CommandTable {
    pub name: &'static str,
    pub add: fn(&Call<'_>, &Attachment, &ContainerNetns) -> Result<String, Error>,
    pub del: fn(&Call<'_>, &Attachment, Option<&ContainerNetns>) -> Result<(), Error>,
    pub check: fn(&Call<'_>, &Attachment, &ContainerNetns) -> Result<(), Error>,
    pub gc: fn(&Call<'_>, &ValidAttachments) -> Result<(), Error>,
    pub status: fn(&Call<'_>) -> Result<(), Error>,
}

impl Plugin for CommandTable {
    fn name(&self) -> &'static str {
        self.name
    }

    fn add(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<String, Error> {
        (self.add)(call, attachment, netns)
    }

    fn del(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: Option<&ContainerNetns>,
    ) -> Result<(), Error> {
        (self.del)(call, attachment, netns)
    }

    fn check(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<(), Error> {
        (self.check)(call, attachment, netns)
    }

    fn gc(&self, call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
        (self.gc)(call, valid)
    }

    fn status(&self, call: &Call<'_>) -> Result<(), Error> {
        (self.status)(call)
    }
}

/// The parts of a call that all commands have.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The configuration.
    pub conf: &'a NetConf<'a>,
    /// The environment, which a delegate inherits.
    pub environment: &'a Environment,
    /// The container's namespace if the command has opened it. An in-process delegate gets the open
    /// namespace.
    pub netns: Option<&'a ContainerNetns>,
    /// The log of the call.
    pub log: &'a Log,
    /// The plugins of the same multi-call binary.
    pub bundle: Bundle<'a>,
}

impl<'a> Call<'a> {
    /// Parses `CNI_ARGS`.
    ///
    /// # Errors
    /// Code 4 if the variable cannot be parsed, or has an unknown name without `IgnoreUnknown=1`.
    pub fn args(&self) -> Result<CniArgs, Error> {
        let text = self.environment.get("CNI_ARGS").unwrap_or_default();
        CniArgs::parse(&text.to_string_lossy())
            .map_err(|error| Error::new(Code::INVALID_ENVIRONMENT, error))
    }

    /// Finds the plugin to delegate to: the executable of this name in the first directory of
    /// `CNI_PATH` that has one.
    ///
    /// # Errors
    /// [`DelegateError::Missing`], [`DelegateError::NotExecutable`].
    pub fn delegate(&self, plugin_type: PluginType) -> Result<Delegate<'a>, DelegateError> {
        Delegate::find(plugin_type, self.environment, self.netns, self.bundle)
    }
}
