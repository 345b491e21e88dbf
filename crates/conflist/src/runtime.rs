//! The commands of a runtime, each a sequence of requests.

use std::fmt;

use cni_plugin::Command;
use cni_types::json::DecodeError;
use cni_types::{AddResult, PluginType, ValidAttachments, Version};

use crate::{Cache, CacheError, Cached, NetworkList, PluginConf, PluginRequest, RuntimeConf};

/// The reason why a command has failed. `E` is the error of a plugin's call.
#[derive(Debug, thiserror::Error)]
pub enum OperationError<E: fmt::Display> {
    /// A plugin has failed. Its error names it.
    #[error("plugin {index} of the list: {error}")]
    Plugin {
        /// The plugin's place in the list, from 1.
        index: usize,
        /// The plugin.
        plugin_type: PluginType,
        /// The plugin's error.
        error: Box<E>,
    },
    /// A plugin has succeeded with an invalid result.
    #[error(
        "plugin {index} of the list: {plugin_type} answered ADD with an invalid result: {error}"
    )]
    Result {
        /// The plugin's place in the list, from 1.
        index: usize,
        /// The plugin.
        plugin_type: PluginType,
        /// What is wrong with the result.
        error: DecodeError,
    },
    /// The configuration of a plugin cannot be composed.
    #[error("cannot compose the configuration of plugin {plugin_type}: {error}")]
    Compose {
        /// The plugin.
        plugin_type: PluginType,
        /// Why.
        error: DecodeError,
    },
    /// The result of an ADD could not be kept, or could not be read.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The version of the list has no CHECK.
    #[error("cniVersion {0} of the list has no CHECK: it came with 0.4.0")]
    NoCheck(Version),
    /// CHECK compares with the result of an ADD, and there is none.
    #[error("no result of an ADD is cached: CHECK has nothing to compare with")]
    NotAdded,
}

/// A runtime, with its cache of results and the function that runs a plugin.
pub struct Runtime<'a, E> {
    cache: &'a Cache,
    run: &'a mut Run<'a, E>,
}

/// Runs a plugin, and returns its standard output.
type Run<'a, E> = dyn FnMut(&PluginRequest<'_>) -> Result<String, E> + 'a;

impl<'a, E: fmt::Display> Runtime<'a, E> {
    /// A runtime that runs plugins by `run`, which returns a plugin's standard output.
    pub fn new(cache: &'a Cache, run: &'a mut Run<'a, E>) -> Self {
        Self { cache, run }
    }

    /// ADD: calls the plugins in order, each with the result of the one before, and keeps the
    /// result of the last, which it returns as JSON.
    ///
    /// # Errors
    /// [`OperationError`] of the first plugin that fails. The earlier ones have done their work,
    /// which DEL removes.
    pub fn add(
        &mut self,
        list: &NetworkList,
        runtime: &RuntimeConf,
    ) -> Result<String, OperationError<E>> {
        let mut result = None;
        for (index, plugin) in numbered(list) {
            let prev = result.as_deref();
            let request = PluginRequest::of_attachment(Command::Add, list, plugin, runtime, prev);
            let stdout = self.call(index, plugin, request)?;
            let converted = AddResult::pass_on(&stdout, list.version);
            result = Some(converted.map_err(|error| OperationError::Result {
                index,
                plugin_type: plugin.plugin_type.clone(),
                error,
            })?);
        }
        let result = result.unwrap_or_default();
        self.cache.keep(list, runtime, &result)?;
        Ok(result)
    }

    /// DEL: calls the plugins in reverse order, each with the cached result of the ADD if the
    /// list's version is 0.4.0 or later, and removes that. Without a usable result, DEL does
    /// without.
    ///
    /// # Errors
    /// [`OperationError`] of the first plugin that fails. The result stays cached, so that a
    /// repeated DEL has it.
    pub fn del(
        &mut self,
        list: &NetworkList,
        runtime: &RuntimeConf,
    ) -> Result<(), OperationError<E>> {
        let prev = (list.version >= Version::V0_4_0)
            .then(|| self.cached_result(list, runtime))
            .and_then(Result::ok)
            .flatten();
        for (index, plugin) in numbered(list).rev() {
            let prev = prev.as_deref();
            let request = PluginRequest::of_attachment(Command::Del, list, plugin, runtime, prev);
            self.call(index, plugin, request)?;
        }
        Ok(self.cache.remove(&list.name, &runtime.attachment)?)
    }

    /// CHECK: calls the plugins in order, each with the cached result of the ADD, and returns
    /// whether it has called any. `disableCheck` switches CHECK off.
    ///
    /// # Errors
    /// [`OperationError`] of the first plugin that fails; [`OperationError::NoCheck`] if the list's
    /// version is before 0.4.0; [`OperationError::NotAdded`].
    pub fn check(
        &mut self,
        list: &NetworkList,
        runtime: &RuntimeConf,
    ) -> Result<bool, OperationError<E>> {
        if list.version < Version::V0_4_0 {
            return Err(OperationError::NoCheck(list.version));
        }
        if list.disable_check {
            return Ok(false);
        }
        let prev = self.cached_result(list, runtime)?;
        let prev = prev.ok_or(OperationError::NotAdded)?;
        for (index, plugin) in numbered(list) {
            let prev = Some(prev.as_str());
            let request = PluginRequest::of_attachment(Command::Check, list, plugin, runtime, prev);
            self.call(index, plugin, request)?;
        }
        Ok(true)
    }

    /// GC: a DEL for each cached attachment of the network that is not valid, and then, if the
    /// list's version is 1.1.0 or later, GC of the plugins in order. Returns whether it has called
    /// any; `disableGC` switches GC off.
    ///
    /// libcni's caller may leave out the list of valid attachments, and then all cached ones are
    /// deleted. Here there always is a list.
    ///
    /// # Errors
    /// Those of all plugins that fail: one failure does not stop the others.
    pub fn gc(
        &mut self,
        list: &NetworkList,
        valid: &ValidAttachments,
    ) -> Result<bool, Vec<OperationError<E>>> {
        if list.disable_gc {
            return Ok(false);
        }
        let mut errors = Vec::new();
        let mut has_called = false;
        for Cached { runtime, .. } in self
            .stale(list, valid)
            .map_err(|error| vec![error.into()])?
        {
            has_called = true;
            errors.extend(self.del(list, &runtime).err());
        }
        if list.version >= Version::V1_1_0 {
            has_called = true;
            for (index, plugin) in numbered(list) {
                let request = PluginRequest::of_network(Command::Gc, list, plugin, Some(valid));
                errors.extend(self.call(index, plugin, request).err());
            }
        }
        if errors.is_empty() {
            Ok(has_called)
        } else {
            Err(errors)
        }
    }

    /// The cached attachments of the network that are not valid: GC would delete these.
    ///
    /// # Errors
    /// [`CacheError::State`] if the cache cannot be read.
    pub fn stale(
        &self,
        list: &NetworkList,
        valid: &ValidAttachments,
    ) -> Result<Vec<Cached>, CacheError> {
        let mut cached = self.cache.all()?;
        cached.retain(|cached| {
            let attachment = &cached.runtime.attachment;
            let (container, ifname) = (&attachment.container_id, &attachment.ifname);
            cached.network == list.name && !valid.contains(container.as_str(), ifname.as_str())
        });
        Ok(cached)
    }

    /// STATUS: asks the plugins in order, and returns whether it has asked any: a list of a version
    /// before 1.1.0 has no STATUS.
    ///
    /// # Errors
    /// [`OperationError`] of the first plugin that is not ready.
    pub fn status(&mut self, list: &NetworkList) -> Result<bool, OperationError<E>> {
        if list.version < Version::V1_1_0 {
            return Ok(false);
        }
        for (index, plugin) in numbered(list) {
            let request = PluginRequest::of_network(Command::Status, list, plugin, None);
            self.call(index, plugin, request)?;
        }
        Ok(true)
    }

    fn cached_result(
        &self,
        list: &NetworkList,
        runtime: &RuntimeConf,
    ) -> Result<Option<String>, CacheError> {
        let Some(cached) = self.cache.find(&list.name, &runtime.attachment)? else {
            return Ok(None);
        };
        let result = cached.result(list.version);
        result.map(Some).map_err(|error| CacheError::Decode {
            path: self.cache.path(&list.name, &runtime.attachment),
            error,
        })
    }

    fn call(
        &mut self,
        index: usize,
        plugin: &PluginConf,
        request: Result<PluginRequest<'_>, DecodeError>,
    ) -> Result<String, OperationError<E>> {
        let plugin_type = || plugin.plugin_type.clone();
        let request = request.map_err(|error| OperationError::Compose {
            plugin_type: plugin_type(),
            error,
        })?;
        (self.run)(&request).map_err(|error| OperationError::Plugin {
            index,
            plugin_type: plugin_type(),
            error: Box::new(error),
        })
    }
}

/// The plugins with their places, from 1.
fn numbered(list: &NetworkList) -> impl DoubleEndedIterator<Item = (usize, &PluginConf)> {
    let plugins = list.plugins.iter().enumerate();
    plugins.map(|(index, plugin)| (index + 1, plugin))
}

#[cfg(test)]
mod tests;
