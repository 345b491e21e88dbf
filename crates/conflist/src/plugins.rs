//! Running the plugins of a list as processes.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use cni_plugin::{Delegate, DelegateError, Environment};
use cni_types::PluginType;

use crate::PluginRequest;

/// The plugins in the directories of a `CNI_PATH`.
#[derive(Clone, Debug)]
pub struct Plugins {
    environment: Environment,
}

impl Plugins {
    /// Plugins in the directories of `path`, which inherit an environment.
    pub fn new(path: &OsStr, inherited: &Environment) -> Self {
        Self {
            environment: inherited.with("CNI_PATH", path),
        }
    }

    /// The file of a plugin.
    ///
    /// # Errors
    /// [`DelegateError::Missing`], [`DelegateError::NotExecutable`].
    pub fn find(&self, plugin_type: &PluginType) -> Result<PathBuf, DelegateError> {
        let plugin = Delegate::of_runtime(plugin_type.clone(), &self.environment)?;
        Ok(plugin.program().to_owned())
    }

    /// Runs a plugin to its end, and returns its standard output. Its standard error is passed on.
    ///
    /// # Errors
    /// [`DelegateError`].
    pub fn run(&self, request: &PluginRequest<'_>) -> Result<String, DelegateError> {
        let variables = request.variables.clone();
        let environment = self.environment.with_all(variables);
        let plugin = Delegate::of_runtime(request.plugin_type.clone(), &environment)?;
        plugin.answer(request.command, &request.conf)
    }

    /// The variables that a plugin gets with a request, `CNI_PATH` among them.
    pub fn variables(&self, request: &PluginRequest<'_>) -> Vec<(&'static str, OsString)> {
        let path = self.environment.get("CNI_PATH").unwrap_or_default();
        let variables = request.variables.clone().into_iter();
        variables.chain([("CNI_PATH", path.to_owned())]).collect()
    }
}
