//! The IPAM plugin of a network.

use std::fmt;

use cni_plugin::{Call, Command, Delegate, DelegateCall, DelegateError};
use cni_types::json::OptionalText;
use cni_types::{AddResult, Code, Error, NameError, NetConf, PluginType};

use crate::{Rollback, UndoInContainer, not_ready};

/// A failure of the IPAM plugin.
#[derive(Debug, thiserror::Error)]
pub enum IpamError {
    /// The type is not a valid name of a plugin.
    #[error("ipam.type {0}")]
    Type(NameError),
    /// The type is known not to be an IPAM plugin.
    #[error(
        "ipam.type {0} is no IPAM plugin: it gives no addresses, and would call itself for ever; \
            host-local is one, for example"
    )]
    NoIpam(PluginType),
    /// The plugin failed, or could not be run.
    #[error(transparent)]
    Delegate(DelegateError),
    /// The result has no addresses.
    #[error(
        "ipam: plugin {plugin_type} gave no address: correct its configuration, or leave ipam out",
        plugin_type = .0
    )]
    NoAddress(PluginType),
}

impl IpamError {
    /// Whether the plugin may hold addresses nevertheless. A plugin that reports an error has
    /// allocated none; a DEL could then release the addresses of an earlier ADD of the same
    /// attachment.
    pub(crate) fn may_hold_addresses(&self) -> bool {
        match self {
            Self::NoAddress(_) => true,
            Self::Delegate(DelegateError::Failed { error, .. }) => error.code == Code::INTERNAL,
            Self::Delegate(error) => matches!(
                error,
                DelegateError::Talk { .. }
                    | DelegateError::Died { .. }
                    | DelegateError::Garbage { .. }
            ),
            Self::Type(_) | Self::NoIpam(_) => false,
        }
    }
}

impl From<IpamError> for Error {
    fn from(error: IpamError) -> Self {
        let code = match error {
            IpamError::Type(_) | IpamError::NoIpam(_) => Code::INVALID_NETWORK_CONFIG,
            IpamError::Delegate(error) => return error.into(),
            IpamError::NoAddress(_) => Code::DELEGATE_BROKEN,
        };
        Error::new(code, error)
    }
}

/// The IPAM plugin that does not need the link to release addresses.
const HOST_LOCAL: &str = "host-local";

/// `ipam.type`; `None` for a network without addresses, whose `ipam.type` is missing or empty.
///
/// # Errors
/// Code 6 if it is not a string, 7 if it is not the name of an IPAM plugin.
pub fn ipam_type(conf: &NetConf<'_>) -> Result<Option<PluginType>, Error> {
    match any_type(conf)? {
        Some(plugin_type) if plugin_type.is_no_ipam() => Err(IpamError::NoIpam(plugin_type).into()),
        plugin_type => Ok(plugin_type),
    }
}

/// `ipam.type`, also if it is known to be no IPAM plugin.
fn any_type(conf: &NetConf<'_>) -> Result<Option<PluginType>, Error> {
    let text: Option<OptionalText> = conf.section("ipam")?.value("type")?;
    let plugin_type = text.unwrap_or_default().get().map(str::parse);
    Ok(plugin_type.transpose().map_err(IpamError::Type)?)
}

/// The IPAM plugin of a network (CNI specification, "Section 4: plugin delegation"). It gets the
/// same configuration as the caller.
#[derive(Debug)]
pub struct Ipam<'a> {
    delegate: Delegate<'a>,
    conf: &'a NetConf<'a>,
}

impl<'a> Ipam<'a> {
    /// Finds the plugin of the configuration, if it has one.
    ///
    /// # Errors
    /// As [`ipam_type`] and [`Ipam::find`].
    pub fn of(call: &Call<'a>) -> Result<Option<Self>, Error> {
        let plugin_type = ipam_type(call.conf)?;
        let ipam = plugin_type.map(|plugin_type| Self::find(call, plugin_type));
        Ok(ipam.transpose()?)
    }

    /// As [`Ipam::of`], for DEL: `None` also for a type that is not an IPAM plugin, which ADD does
    /// not call.
    ///
    /// # Errors
    /// As [`Ipam::of`] otherwise.
    pub fn to_release(call: &Call<'a>) -> Result<Option<Self>, Error> {
        match any_type(call.conf)? {
            Some(plugin_type) if plugin_type.is_no_ipam() => {
                call.log.info(format_args!(
                    "no address is released: ipam.type {plugin_type} is no IPAM plugin"
                ));
                Ok(None)
            }
            Some(plugin_type) => Ok(Some(Self::find(call, plugin_type)?)),
            None => Ok(None),
        }
    }

    /// Finds the plugin in `CNI_PATH`.
    ///
    /// # Errors
    /// [`IpamError::Delegate`] if it is missing (code 100).
    pub fn find(call: &Call<'a>, plugin_type: PluginType) -> Result<Self, IpamError> {
        Ok(Self {
            delegate: call.delegate(plugin_type)?,
            conf: call.conf,
        })
    }

    /// Whether the plugin may need the container's link to release an address.
    pub(crate) fn needs_link(&self) -> bool {
        self.delegate.plugin_type().as_str() != HOST_LOCAL
    }

    /// Starts the plugin, which waits for its configuration on standard input. The kernel needs a
    /// while to set up the process, in which the caller can create or remove the link. If the value
    /// is dropped instead, the plugin is killed.
    ///
    /// # Errors
    /// [`IpamError::Delegate`].
    pub fn start(&self, command: Command) -> Result<IpamCall<'_>, IpamError> {
        Ok(IpamCall {
            ipam: self,
            started: self.delegate.start(command)?,
        })
    }

    /// Lets the plugin release the addresses of the attachment.
    pub(crate) fn release(&self) -> Result<(), IpamError> {
        self.start(Command::Del)?.run()
    }

    /// Passes GC on to the plugin of the configuration, if it has one.
    ///
    /// # Errors
    /// As [`Ipam::of`]; the plugin's own.
    pub fn gc(call: &Call<'_>) -> Result<(), Error> {
        if let Some(ipam) = Ipam::of(call)?
            && !ipam.run_if_known(Command::Gc)?
        {
            call.log.info(format_args!("the IPAM plugin knows no GC"));
        }
        Ok(())
    }

    /// Checks that a plugin is installed and could allocate an address now. A plugin without STATUS
    /// is assumed to be ready.
    ///
    /// # Errors
    /// Code 50 if it is missing; the plugin's own.
    pub fn status(call: &Call<'_>, plugin_type: &PluginType) -> Result<(), Error> {
        let ipam = Ipam::find(call, plugin_type.clone()).map_err(not_ready)?;
        ipam.run_if_known(Command::Status)?;
        Ok(())
    }

    fn run_if_known(&self, command: Command) -> Result<bool, IpamError> {
        Ok(self.delegate.run_if_known(command, self.conf)?)
    }
}

/// The point of a rollback at which the addresses are released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Release {
    /// While the link still exists.
    BeforeEarlierSteps,
    /// After the link and the rules are gone, so that no two containers have an address.
    AfterAllSteps,
    Never,
}

impl Release {
    /// The point after an ADD of the IPAM plugin, with its error if it failed.
    fn after(error: Option<&IpamError>, needs_link: bool) -> Self {
        match error {
            // Without a result, the link has no address. While the link exists, another ADD of the
            // attachment fails; this release could otherwise take that one's addresses.
            Some(error) if error.may_hold_addresses() => Self::BeforeEarlierSteps,
            Some(_) => Self::Never,
            None if needs_link => Self::BeforeEarlierSteps,
            None => Self::AfterAllSteps,
        }
    }
}

/// A started IPAM plugin, which waits for its configuration.
#[derive(Debug)]
pub struct IpamCall<'a> {
    ipam: &'a Ipam<'a>,
    started: DelegateCall<'a>,
}

impl IpamCall<'_> {
    /// Passes the configuration of an ADD, and returns a result with at least one address. The
    /// rollback releases the addresses at the point where DEL does: see [`del`](crate::del).
    ///
    /// # Errors
    /// All of [`IpamError`]. If the plugin may hold addresses nevertheless, the rollback releases
    /// them.
    pub fn ask_for_addresses<S>(self, rollback: &mut Rollback<S>) -> Result<AddResult, IpamError>
    where
        S: From<UndoInContainer> + fmt::Display,
    {
        let ipam = self.ipam;
        let answer = self.started.add_and_decode(ipam.conf, ipam.conf.version);
        let given = answer.map_err(IpamError::from).and_then(|result| {
            if result.ips.is_empty() {
                let plugin_type = ipam.delegate.plugin_type().clone();
                return Err(IpamError::NoAddress(plugin_type));
            }
            Ok(result)
        });
        match Release::after(given.as_ref().err(), ipam.needs_link()) {
            Release::BeforeEarlierSteps => rollback.record(UndoInContainer::ReleaseAddresses),
            Release::AfterAllSteps => rollback.record_last(UndoInContainer::ReleaseAddresses),
            Release::Never => {}
        }
        given
    }

    /// Passes the configuration of a command that has no result.
    ///
    /// # Errors
    /// [`IpamError::Delegate`].
    pub fn run(self) -> Result<(), IpamError> {
        Ok(self.started.run(self.ipam.conf)?)
    }
}

impl From<DelegateError> for IpamError {
    fn from(error: DelegateError) -> Self {
        Self::Delegate(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: Code) -> IpamError {
        IpamError::Delegate(DelegateError::Failed {
            plugin_type: "host-local".parse().unwrap(),
            error: Error::new(code, "no"),
        })
    }

    #[test]
    fn addresses_are_released_when_the_plugin_can_and_nobody_has_them() {
        let no_address = IpamError::NoAddress("host-local".parse().unwrap());
        for (error, needs_link, release) in [
            (None, false, Release::AfterAllSteps),
            (None, true, Release::BeforeEarlierSteps),
            (Some(no_address), false, Release::BeforeEarlierSteps),
            (
                Some(failed(Code::INTERNAL)),
                false,
                Release::BeforeEarlierSteps,
            ),
            (Some(failed(Code::TRY_AGAIN_LATER)), false, Release::Never),
            (Some(failed(Code::TRY_AGAIN_LATER)), true, Release::Never),
        ] {
            assert_eq!(
                Release::after(error.as_ref(), needs_link),
                release,
                "{error:?}"
            );
        }
    }
}
