use std::fmt;
use std::path::Path;

use cni_types::{Attachment, CniArgs, Code, Error, NetConf, PluginType};

use crate::{Bundle, Delegate, DelegateError, Environment, Log};

/// A CNI plugin: what it does for each command (CNI specification, "Section 2: CNI operations").
///
/// Every method is called with parameters that are valid, for a configuration whose version knows the command.
pub trait Plugin: fmt::Debug {
    /// The name of the plugin's binary, and so the `type` that configurations call it by.
    fn name(&self) -> &'static str;

    /// Adds the attachment and returns the result, as JSON in the configuration's version.
    fn add(&self, call: &Call<'_>, attachment: &Attachment, netns: &Path) -> Result<String, Error>;

    /// Removes all that ADD made. It is no error if there is nothing (any more), nor if the namespace is gone.
    fn del(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        netns: Option<&Path>,
    ) -> Result<(), Error>;

    /// Finds out whether all is still as ADD left it.
    fn check(&self, call: &Call<'_>, attachment: &Attachment, netns: &Path) -> Result<(), Error>;

    /// Removes what belongs to attachments that are not valid any more.
    fn gc(&self, _call: &Call<'_>) -> Result<(), Error> {
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
    /// Where to tell what is done.
    pub log: &'a Log,
    /// The plugins that this binary is as well.
    pub bundle: Bundle<'a>,
}

impl<'a> Call<'a> {
    /// `CNI_ARGS`, checked against the names that the plugin knows.
    ///
    /// Errors: code 4.
    pub fn args(&self, known: &[&str]) -> Result<CniArgs, Error> {
        let text = self.environment.get("CNI_ARGS").unwrap_or_default();
        CniArgs::parse(&text.to_string_lossy(), known)
            .map_err(|error| Error::new(Code::INVALID_ENVIRONMENT, error))
    }

    /// Finds the plugin to delegate to in the first folder of `CNI_PATH` that has an executable of its name.
    ///
    /// Errors: [`DelegateError::Missing`], [`DelegateError::NotExecutable`].
    pub fn delegate(&self, plugin_type: PluginType) -> Result<Delegate<'a>, DelegateError> {
        Delegate::find(plugin_type, self.environment, self.bundle)
    }
}
