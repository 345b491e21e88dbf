use cni_plugin::{Call, Command, Delegate, DelegateCall, DelegateError};
use cni_types::{AddResult, Error, NetConf, PluginType, Version};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::IpamError;

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawConf {
    ipam: RawIpam,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawIpam {
    #[serde(rename = "type")]
    plugin_type: String,
}

/// `ipam.type`; `None` for a network without addresses, where it is missing or empty.
///
/// # Errors
/// Code 6 if it is no text, 7 if it is no name of a plugin.
pub fn ipam_type(conf: &NetConf<'_>) -> Result<Option<PluginType>, Error> {
    let raw: RawConf = conf.decode()?;
    let text = raw.ipam.plugin_type;
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some(text.parse().map_err(IpamError::Type)?))
}

/// The IPAM plugin of a network (CNI specification, "Section 4: plugin delegation"). It gets the very configuration that
/// the caller got.
#[derive(Debug)]
pub struct Ipam<'a> {
    delegate: Delegate<'a>,
    netconf: &'a str,
    version: Version,
}

impl<'a> Ipam<'a> {
    /// Finds the plugin in `CNI_PATH`.
    ///
    /// # Errors
    /// [`IpamError::Delegate`] if it is not there, which is code 100.
    pub fn find(call: &Call<'a>, plugin_type: PluginType) -> Result<Self, IpamError> {
        let netconf: &RawValue = call.conf.decode().map_err(IpamError::Conf)?;
        Ok(Self {
            delegate: call.delegate(plugin_type)?,
            netconf: netconf.get(),
            version: call.conf.version,
        })
    }

    /// Starts the plugin, which does nothing before it is told to go on: the kernel needs a while for that, in which the
    /// caller can make the link. Dropped instead, it is killed.
    ///
    /// # Errors
    /// [`IpamError::Delegate`].
    pub fn start(&self, command: Command) -> Result<DelegateCall<'_>, IpamError> {
        Ok(self.delegate.start(command)?)
    }

    /// Goes on with an ADD that was started, and returns at least one address.
    ///
    /// # Errors
    /// All of [`IpamError`]. [`IpamError::may_hold_addresses`] says whether a DEL is needed.
    pub fn add(&self, started: DelegateCall<'_>) -> Result<AddResult, IpamError> {
        let plugin_type = || self.delegate.plugin_type().clone();
        let answer = started.add(self.netconf, self.version)?;
        let result =
            AddResult::decode(&answer, self.version).map_err(|source| IpamError::Garbage {
                plugin_type: plugin_type(),
                source,
            })?;
        if result.ips.is_empty() {
            return Err(IpamError::NoAddress(plugin_type()));
        }
        Ok(result)
    }

    /// Goes on with a DEL that was started.
    ///
    /// # Errors
    /// [`IpamError::Delegate`].
    pub fn del(&self, started: DelegateCall<'_>) -> Result<(), IpamError> {
        Ok(started.run(self.netconf)?)
    }

    /// Takes back what ADD gave.
    ///
    /// # Errors
    /// [`IpamError::Delegate`].
    pub fn release(&self) -> Result<(), IpamError> {
        Ok(self.delegate.run(Command::Del, self.netconf)?)
    }

    /// CHECK.
    ///
    /// # Errors
    /// [`IpamError::Delegate`].
    pub fn check(&self) -> Result<(), IpamError> {
        Ok(self.delegate.run(Command::Check, self.netconf)?)
    }

    /// GC or STATUS; tells whether the plugin knows the command.
    ///
    /// # Errors
    /// [`IpamError::Delegate`].
    pub fn run_if_known(&self, command: Command) -> Result<bool, IpamError> {
        Ok(self.delegate.run_if_known(command, self.netconf)?)
    }
}

impl From<DelegateError> for IpamError {
    fn from(error: DelegateError) -> Self {
        Self::Delegate(error)
    }
}
