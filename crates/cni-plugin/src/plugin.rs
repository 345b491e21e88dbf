//! The trait that a plugin implements.

use std::fmt;

use cni_types::{Attachment, CniArgs, Code, Error, NetConf, PluginType, ValidAttachments};

use crate::{Bundle, ContainerNetns, Delegate, DelegateError, Environment, Log};

/// A CNI plugin: what it does for each command (CNI specification, "Section 2: CNI operations").
///
/// Every method is called with parameters that are valid, for a configuration whose version knows
/// the command.
pub trait Plugin: fmt::Debug {
    /// The name of the plugin's binary, and so the `type` that configurations call it by.
    fn name(&self) -> &'static str;

    /// Adds the attachment and returns the result, as JSON in the configuration's version.
    fn add(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<String, Error>;

    /// Removes all that ADD made. It is no error if there is nothing (any more). `netns` is `None`
    /// where the container has no namespace any more: `CNI_NETNS` is not set, leads to none, or
    /// leads to the plugin's own.
    fn del(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: Option<&ContainerNetns>,
    ) -> Result<(), Error>;

    /// Finds out whether all is still as ADD left it.
    fn check(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<(), Error>;

    /// Removes what belongs to attachments that are not in the list of valid ones. Without such a
    /// list it is not called.
    fn gc(&self, _call: &Call<'_>, _valid: &ValidAttachments) -> Result<(), Error> {
        Ok(())
    }

    /// Finds out whether an ADD could succeed now.
    fn status(&self, _call: &Call<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// What a call brings beside its command's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The configuration.
    pub conf: &'a NetConf<'a>,
    /// The environment, which delegates get too.
    pub environment: &'a Environment,
    /// What `CNI_NETNS` leads to, where it has been opened; delegates in the same process get it
    /// too.
    pub netns: Option<&'a ContainerNetns>,
    /// Where to tell what is done.
    pub log: &'a Log,
    /// The plugins that this binary is as well.
    pub bundle: Bundle<'a>,
}

impl<'a> Call<'a> {
    /// `CNI_ARGS`.
    ///
    /// # Errors
    /// Code 4.
    pub fn args(&self) -> Result<CniArgs, Error> {
        let text = self.environment.get("CNI_ARGS").unwrap_or_default();
        CniArgs::parse(&text.to_string_lossy())
            .map_err(|error| Error::new(Code::INVALID_ENVIRONMENT, error))
    }

    /// Finds the plugin to delegate to in the first directory of `CNI_PATH` that has an executable
    /// of its name.
    ///
    /// # Errors
    /// [`DelegateError::Missing`], [`DelegateError::NotExecutable`].
    pub fn delegate(&self, plugin_type: PluginType) -> Result<Delegate<'a>, DelegateError> {
        Delegate::find(plugin_type, self.environment, self.netns, self.bundle)
    }
}
