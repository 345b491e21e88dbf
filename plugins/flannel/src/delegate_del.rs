//! DEL of one attachment, for a runtime's DEL and for GC.
//!
//! The delegate gets the configuration that ADD kept. No DEL may ever succeed with that
//! configuration: the delegate may have been uninstalled, or the configuration may be a mistake.
//! The container is gone nevertheless, so DEL next tries the configuration that the current network
//! configuration renders, then the IPAM plugin alone. A failure that may be temporary is reported,
//! and recorded in the kept configuration. A configuration with which no ADD is known to have
//! succeeded makes at most one DEL fail.

use std::path::Path;

use cni_plugin::{Call, Command, Delegate, DelegateError};
use cni_types::json::Object;
use cni_types::{Attachment, Code, Error, PluginType, Version};

use crate::circle;
use crate::config::{Config, Replay};
use crate::delegate_conf;
use crate::error::{ConfigError, ScratchError, is_changed_master, is_missing_master, naming_file};
use crate::outlook::Outlook;
use crate::prev_result::{PREV_RESULT, version_of};
use crate::scratch::{Failures, KeptConf, Scratch};
use crate::subnet_env::{self, Lease};

/// The keys that a runtime sets for each call. Two configurations that differ only in these are the
/// same for a DEL.
const CALL_KEYS: [&str; 2] = ["runtimeConfig", PREV_RESULT];

/// The number of failures after which the next one is final.
const ENOUGH_FAILURES: u32 = 2;

/// The keys of `ipam` that do not determine where allocations are stored.
const RANGE_KEYS: [&str; 2] = ["ranges", "routes"];

/// The key that names the link on which macvlan and ipvlan create theirs.
const MASTER: &str = "master";

/// A master that every namespace has, with an MTU that no configuration exceeds.
const ANY_MASTER: &str = "lo";

/// The DEL of one attachment.
pub(crate) struct DelegateDel<'a> {
    /// The call, with the attachment in its environment.
    pub(crate) call: &'a Call<'a>,
    /// The runtime's input for this attachment; `None` for GC.
    pub(crate) replay: Option<&'a Replay>,
    pub(crate) attachment: &'a Attachment,
}

/// Why a plugin's DEL failed.
struct Failure {
    error: Error,
    outlook: Outlook,
}

impl From<DelegateError> for Failure {
    fn from(error: DelegateError) -> Self {
        Self {
            outlook: Outlook::of(&error),
            error: error.into(),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self {
            outlook: Outlook::Refused,
            error: error.into(),
        }
    }
}

impl DelegateDel<'_> {
    /// Deletes with the kept configuration or, if that fails, with the current one, and removes the
    /// kept one.
    ///
    /// # Errors
    /// The delegate's error, with the file of the kept configuration. It fails at most once if the
    /// current configuration differs and its DEL succeeds, or if no ADD has succeeded with the kept
    /// one; codes 5 and 11 and a missing delegate are exceptions.
    pub(crate) fn delete_with_kept(&self, scratch: &Scratch, kept: &KeptConf) -> Result<(), Error> {
        if let Err(failure) = self.run(&kept.plugin_type, &kept.conf) {
            self.retry_with_current(failure, scratch, kept)?;
        }
        Ok(scratch.remove_kept(self.attachment, kept)?)
    }

    /// Deletes without a usable kept configuration: the file was lost, or there never was an ADD.
    /// If no configuration can be rendered, or no ADD can have succeeded with it, there is nothing
    /// to do. A configuration that fails is kept in `data_dir` with its failure, so that the next
    /// DEL continues the count.
    ///
    /// # Errors
    /// The delegate's.
    pub(crate) fn delete_with_current(&self, data_dir: &Path) -> Result<(), Error> {
        let log = self.call.log;
        let (plugin_type, conf) = match self.current_conf(None) {
            Ok(rendered) => rendered,
            Err(error) => {
                log.info(format_args!(
                    "no configuration is kept, nor can it be rebuilt: {error}"
                ));
                return Ok(());
            }
        };
        let delegate = self.call.delegate(plugin_type).map_err(Failure::from);
        let outcome = delegate.and_then(|delegate| {
            log.info(format_args!(
                "no configuration is kept: calling {} with a new one",
                delegate.program().display()
            ));
            self.call_del(&delegate, &conf)
        });
        let Err(Failure { error, outlook }) = outcome else {
            return Ok(());
        };
        if outlook.is_lasting() {
            log.info(format_args!("no configuration is kept: {error}"));
            return Ok(());
        }
        // Two failures: no successful ADD is known, and this DEL failed.
        let failures = Failures::default().and(&error).and(&error);
        if outlook == Outlook::Unknown
            && let Err(unnoted) = Scratch::create(data_dir)
                .map_err(ScratchError::from)
                .and_then(|scratch| scratch.keep_failed(self.attachment, &conf, &failures))
        {
            log.error(format_args!("{unnoted}"));
            return self.give_up(error, &conf);
        }
        Err(error)
    }

    /// Deletes with the current configuration, which may be a correction of the kept one, and then
    /// by the IPAM plugin of the kept one. In this call if the failure is permanent or both
    /// configurations name the same plugins; otherwise in the next DEL.
    fn retry_with_current(
        &self,
        failure: Failure,
        scratch: &Scratch,
        kept: &KeptConf,
    ) -> Result<(), Error> {
        let error = naming_file(failure.error, &kept.file);
        let outlook = failure.outlook;
        if outlook == Outlook::Soon {
            return Err(error);
        }
        let current = self.current_conf(Some(&kept.conf)).ok();
        let current = current.filter(|(_, conf)| !is_same(conf, &kept.conf, &CALL_KEYS));
        let Some((plugin_type, conf)) = current else {
            return match outlook {
                // A delegate that refuses the configuration has created nothing.
                Outlook::Refused if self.release(&kept.conf).is_ok() => Ok(()),
                // An ADD has succeeded with this configuration, so keep trying.
                _ if kept.failures.is_empty() => Err(error),
                _ => self.fail_or_give_up(error, outlook, scratch, kept),
            };
        };
        let has_same_addresses = has_same_ipam(&conf, &kept.conf);
        let has_all = has_same_addresses && plugin_type == kept.plugin_type;
        let is_first = kept.failures.is_empty();
        if is_first && !outlook.is_lasting() && !has_all && self.is_noted(scratch, kept, &error) {
            return Err(extended(
                error,
                "the next attempt goes on with the present network configuration",
            ));
        }
        self.call.log.error(format_args!(
            "{error}; going on with the present network configuration"
        ));
        match self.run(&plugin_type, &conf) {
            Ok(()) if has_same_addresses => Ok(()),
            Ok(()) => self.release_if_possible(error, &kept.conf),
            Err(current) => {
                let msg = format!(
                    "with the present network configuration: {}",
                    current.error.msg
                );
                let error = extended(error, &msg);
                match current.outlook {
                    Outlook::Soon => Err(with_code_of(error, &current)),
                    Outlook::Node => Err(error),
                    _ => self.fail_or_give_up(error, outlook, scratch, kept),
                }
            }
        }
    }

    /// Fails if no other configuration is left to try. Gives up instead if enough calls have failed
    /// and the configuration itself may be the cause.
    fn fail_or_give_up(
        &self,
        error: Error,
        outlook: Outlook,
        scratch: &Scratch,
        kept: &KeptConf,
    ) -> Result<(), Error> {
        if !outlook.may_be_mistake() {
            return Err(error);
        }
        let count = kept.failures.count;
        if count < ENOUGH_FAILURES && (self.is_noted(scratch, kept, &error) || count == 0) {
            return Err(error);
        }
        self.give_up(error, &kept.conf)
    }

    /// Whether a failure could be recorded. Without a record, a later DEL would not know that it is
    /// the second.
    fn is_noted(&self, scratch: &Scratch, kept: &KeptConf, error: &Error) -> bool {
        let noted = scratch.note(self.attachment, kept, &kept.failures.and(error));
        if let Err(unnoted) = &noted {
            self.call.log.error(format_args!("{unnoted}"));
        }
        noted.is_ok()
    }

    /// Gives up on the delegate and releases only the addresses; links disappear with the
    /// container's namespace.
    fn give_up(&self, error: Error, conf: &Object) -> Result<(), Error> {
        self.call.log.error(format_args!("given up: {error}"));
        self.release_if_possible(error, conf)
    }

    /// Releases the addresses by the IPAM plugin. GC releases any that stay in use, because it
    /// calls the current IPAM plugin with the list of valid attachments.
    ///
    /// # Errors
    /// `error`, if the IPAM plugin could release the addresses at another time.
    fn release_if_possible(&self, error: Error, conf: &Object) -> Result<(), Error> {
        match self.release(conf) {
            Ok(()) => Ok(()),
            Err(failure) if matches!(failure.outlook, Outlook::Soon | Outlook::Node) => {
                let error = extended(error, &failure.error.msg);
                Err(with_code_of(error, &failure))
            }
            Err(failure) => {
                self.call.log.error(format_args!(
                    "addresses may stay taken until GC: {}",
                    failure.error
                ));
                Ok(())
            }
        }
    }

    /// Releases an attachment's addresses without its delegate.
    fn release(&self, conf: &Object) -> Result<(), Failure> {
        // Without a valid IPAM plugin, no address was ever allocated.
        circle::ipam_plugin_of(conf).map_or(Ok(()), |plugin_type| self.run(&plugin_type, conf))
    }

    /// Renders the configuration as an ADD would: from the lease or, without one, from the result
    /// of the attachment's ADD or its kept configuration.
    fn current_conf(&self, kept: Option<&Object>) -> Result<(PluginType, Object), Error> {
        let config = Config::of(self.call)?;
        let lease = match subnet_env::read(&config.subnet_file, self.call.log) {
            Ok(lease) => lease,
            Err(error) => self
                .replay
                .and_then(|replay| replay.prev_result(self.call.conf.version))
                .and_then(|result| Lease::of_result(&result))
                .or_else(|| kept.and_then(Lease::of_delegate_conf))
                .ok_or(error)?,
        };
        let conf = delegate_conf::render(&config, &self.call.conf.name, &lease)?;
        Ok((config.delegate_type, conf))
    }

    /// Calls a plugin's DEL, unless the configuration would recurse without end.
    fn run(&self, plugin_type: &PluginType, conf: &Object) -> Result<(), Failure> {
        circle::refuse_own_type(plugin_type.as_str(), "type")?;
        let mut conf = conf.clone();
        if circle::refuse_invalid_ipam_of(&conf).is_err() {
            // Such a plugin cannot have allocated an address.
            conf.remove("ipam");
        }
        let delegate = self.call.delegate(plugin_type.clone())?;
        self.call
            .log
            .debug(format_args!("calling {}", delegate.program().display()));
        self.call_del(&delegate, &conf)
    }

    /// Calls a delegate's DEL in the version of the configuration or, if the delegate does not
    /// support that, in the latest earlier one that it supports: another delegate may have been
    /// installed at the ADD, and GC raises the version of the list.
    fn call_del(&self, delegate: &Delegate<'_>, conf: &Object) -> Result<(), Failure> {
        let outcome = self.call_del_as_it_is(delegate, conf.clone());
        let own = version_of(conf);
        let earlier = Version::ALL.into_iter().rev();
        for version in earlier.filter(|version| own.is_none_or(|own| *version < own)) {
            if !is_of_version(&outcome) {
                break;
            }
            let mut conf = conf.clone();
            conf.set("cniVersion", version.as_str())
                .map_err(ConfigError::from)?;
            let again = self.call_del_as_it_is(delegate, conf);
            if !is_of_version(&again) {
                return again;
            }
        }
        outcome
    }

    fn call_del_as_it_is(&self, delegate: &Delegate<'_>, conf: Object) -> Result<(), Failure> {
        let mut conf = self.complete(conf)?;
        loop {
            let outcome = delegate.run(Command::Del, &delegate_conf::to_json(self.call, &conf)?);
            match outcome {
                Err(error) if is_missing_master(&error) && conf.contains(PREV_RESULT) => {
                    conf.remove(PREV_RESULT);
                }
                Err(error) if is_changed_master(&error) && !has_any_master(&conf) => {
                    self.call
                        .log
                        .info(format_args!("{error}; going on with master {ANY_MASTER}"));
                    conf.set(MASTER, ANY_MASTER).map_err(ConfigError::from)?;
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    fn complete(&self, conf: Object) -> Result<Object, ConfigError> {
        match self.replay {
            Some(replay) => Ok(replay.complete(conf, self.call.conf.version)?),
            None => Ok(conf),
        }
    }
}

fn has_any_master(conf: &Object) -> bool {
    let master = conf.decode::<String>(MASTER);
    master.is_ok_and(|master| master.as_deref() == Some(ANY_MASTER))
}

/// Whether a delegate has refused the version of the configuration.
fn is_of_version(outcome: &Result<(), Failure>) -> bool {
    let error = outcome.as_ref().err().map(|failure| failure.error.code);
    error == Some(Code::INCOMPATIBLE_VERSION)
}

fn with_code_of(error: Error, failure: &Failure) -> Error {
    Error {
        code: failure.error.code,
        ..error
    }
}

/// An error with an addition to its message.
fn extended(error: Error, more: &str) -> Error {
    let msg = format!("{}; {more}", error.msg);
    Error { msg, ..error }
}

/// Whether two configurations have the same values under all keys but these.
fn is_same(one: &Object, other: &Object, except: &[&str]) -> bool {
    let rest = |object: &Object| {
        let mut rest = object.clone();
        for key in except {
            rest.remove(key);
        }
        rest
    };
    rest(one) == rest(other)
}

/// Whether both configurations store an attachment's addresses in the same place.
fn has_same_ipam(one: &Object, other: &Object) -> bool {
    let is_same_ipam = match (circle::ipam_of(one), circle::ipam_of(other)) {
        (Some(one), Some(other)) => is_same(&one, &other, &RANGE_KEYS),
        _ => false,
    };
    is_same_ipam && one.get("name") == other.get("name")
}
