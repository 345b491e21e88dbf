//! The IPAM plugin, which gives the container its addresses.

use cni_plugin::{Call, Command, Delegate, DelegateCall, DelegateError};
use cni_types::{AddResult, Code, Error, Version};
use serde_json::value::RawValue;

use crate::config;
use crate::error::BridgeError;
use crate::undo::{Changes, Done};

/// The plugin that `ipam.type` names. It gets the same configuration as this one.
#[derive(Debug)]
pub(crate) struct Ipam<'a> {
    delegate: Delegate<'a>,
    netconf: &'a str,
    version: Version,
}

impl<'a> Ipam<'a> {
    /// `None` where the configuration has no IPAM plugin.
    ///
    /// Errors: as [`config::ipam_type`], and of a plugin that is not installed.
    pub(crate) fn of(call: &Call<'a>) -> Result<Option<Self>, Error> {
        let Some(plugin_type) = config::ipam_type(call)? else {
            return Ok(None);
        };
        let netconf: &RawValue = call.conf.decode()?;
        Ok(Some(Self {
            delegate: call.delegate(plugin_type)?,
            netconf: netconf.get(),
            version: call.conf.version,
        }))
    }

    /// Starts the plugin, which does nothing before it gets its configuration.
    pub(crate) fn start(&self, command: Command) -> Result<DelegateCall<'_>, DelegateError> {
        self.delegate.start(command)
    }

    /// Has the plugin that was started give addresses, at least one.
    pub(crate) fn add(
        &'a self,
        started: DelegateCall<'_>,
        changes: &mut Changes<'a>,
    ) -> Result<AddResult, Error> {
        let answer = started.add(self.netconf, self.version);
        // Who says why it has failed has cleaned up, and may have refused an ADD too many: DEL would undo the first one.
        if !matches!(
            answer,
            Err(DelegateError::Failed { .. } | DelegateError::Start { .. })
        ) {
            changes.note_to_undo_last(Done::AskedIpam(self));
        }
        let text = answer?;
        let garbled = |error| Error::new(Code::DECODING_FAILURE, error);
        let result = AddResult::decode(&text, self.version).map_err(garbled)?;
        if result.ips.is_empty() {
            let plugin_type = self.delegate.plugin_type().clone();
            return Err(BridgeError::NoAddress(plugin_type).into());
        }
        Ok(result)
    }

    /// Goes on with a command that has no result.
    pub(crate) fn run(&self, started: DelegateCall<'_>) -> Result<(), DelegateError> {
        started.run(self.netconf)
    }

    /// Has the plugin take back what it gave.
    pub(crate) fn take_back(&self) -> Result<(), DelegateError> {
        self.delegate.run(Command::Del, self.netconf)
    }

    /// Calls a command that not every plugin knows, and tells whether this one does.
    pub(crate) fn run_if_known(&self, command: Command) -> Result<bool, DelegateError> {
        self.delegate.run_if_known(command, self.netconf)
    }
}
