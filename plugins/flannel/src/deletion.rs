//! DEL of one attachment, for a runtime's DEL and for GC.
//!
//! The delegate gets the configuration that ADD kept. It may be one that no DEL will ever succeed with: the delegate is not
//! installed any more, or the configuration was a mistake that has been corrected since. The container is gone all the same,
//! so what the present network configuration renders is tried next.

use cni_plugin::{Call, Command, Delegate, DelegateError};
use cni_types::json::Object;
use cni_types::{Attachment, Error, PluginType};

use crate::config::{Config, Replay};
use crate::delegate_conf;
use crate::error::{ConfigError, is_for_want_of_master, naming_file};
use crate::outlook::Outlook;
use crate::scratch::{KeptConf, Scratch};
use crate::subnet_env::{self, Lease};

/// The keys in which two configurations may differ and still be the same to a delegate that deletes.
const OF_THE_CALL: [&str; 2] = ["runtimeConfig", PREV_RESULT];

const PREV_RESULT: &str = "prevResult";

/// The keys of `ipam` that do not say where addresses are noted.
const OF_RANGES: [&str; 2] = ["ranges", "routes"];

/// One attachment that is to be deleted.
pub(crate) struct Deletion<'a> {
    /// The call, with the attachment in its environment.
    pub(crate) call: &'a Call<'a>,
    /// What the runtime gives for this attachment; nothing where it asks for GC.
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

impl Deletion<'_> {
    /// Deletes with the configuration that was kept, or with whatever else is known, and removes what was kept.
    ///
    /// # Errors
    /// The delegate's, with the file that its configuration was kept in. Where the present network configuration is another
    /// one and its DEL succeeds, that is at most once.
    pub(crate) fn by_kept(&self, scratch: &Scratch, kept: &KeptConf) -> Result<(), Error> {
        if let Err(failure) = self.run(kept.plugin_type.clone(), kept.conf.clone()) {
            self.in_spite_of(failure, scratch, kept)?;
        }
        Ok(scratch.remove_kept(self.attachment, kept)?)
    }

    /// Deletes where nothing usable is kept: the file was lost, or there never was an ADD. Where no configuration can be
    /// rendered, or it is one that nothing can have been added with, there is nothing to do.
    ///
    /// # Errors
    /// The delegate's.
    pub(crate) fn anew(&self) -> Result<(), Error> {
        let log = self.call.log;
        let (plugin_type, conf) = match self.present_conf(None) {
            Ok(rendered) => rendered,
            Err(error) => {
                log.info(format_args!(
                    "no configuration is kept, nor can it be made anew: {error}"
                ));
                return Ok(());
            }
        };
        let refused = match self.call.delegate(plugin_type) {
            Ok(delegate) => {
                log.info(format_args!(
                    "no configuration is kept: calling {} with a new one",
                    delegate.program().display()
                ));
                match self.call_del(&delegate, conf) {
                    Err(failure) if failure.outlook.is_lasting() => failure.error,
                    outcome => return outcome.map_err(|failure| failure.error),
                }
            }
            Err(error) => error.into(),
        };
        log.info(format_args!("no configuration is kept: {refused}"));
        Ok(())
    }

    /// Deletes although the delegate's DEL fails with the configuration that was kept: with the present one, which may be a
    /// correction of it, and then by the IPAM plugin of the one that was kept. That is done at once where the first
    /// failure is no passing one, or the present configuration leads to the very same things; else by the second DEL.
    fn in_spite_of(
        &self,
        failure: Failure,
        scratch: &Scratch,
        kept: &KeptConf,
    ) -> Result<(), Error> {
        let error = naming_file(failure.error, &kept.file);
        let outlook = failure.outlook;
        let present = self.present_conf(Some(&kept.conf)).ok();
        let present = present.filter(|(_, conf)| !is_same(conf, &kept.conf, &OF_THE_CALL));
        let Some((plugin_type, conf)) = present.filter(|_| outlook != Outlook::Soon) else {
            // Without a delegate that accepts it, nothing but addresses can have been given.
            return match outlook {
                Outlook::Refused => self.release(kept).map_err(|_| error),
                _ => Err(error),
            };
        };
        let has_same_addresses = has_same_ipam(&conf, &kept.conf);
        let has_all = has_same_addresses && plugin_type == kept.plugin_type;
        if outlook == Outlook::Unknown && !has_all && kept.failure.is_none() {
            match scratch.note_failure(self.attachment, kept, &error.msg) {
                Ok(()) => {
                    return Err(and(
                        error,
                        "the next attempt goes on with the present network configuration",
                    ));
                }
                // Where nothing can be noted, there is no second attempt to wait for.
                Err(unnoted) => self.call.log.error(format_args!("{unnoted}")),
            }
        }
        self.call.log.error(format_args!(
            "{error}; going on with the present network configuration"
        ));
        if let Err(present) = self.run(plugin_type, conf) {
            let msg = present.error.msg;
            return Err(and(
                error,
                &format!("with the present network configuration: {msg}"),
            ));
        }
        if has_same_addresses {
            return Ok(());
        }
        match self.release(kept) {
            Err(busy) if busy.outlook == Outlook::Soon => Err(Error {
                code: busy.error.code,
                ..and(error, &busy.error.msg)
            }),
            Err(failure) => {
                self.call.log.error(format_args!(
                    "addresses may stay taken that the configuration in {} was given: {}",
                    kept.file.display(),
                    failure.error
                ));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Releases an attachment's addresses without its delegate.
    fn release(&self, kept: &KeptConf) -> Result<(), Failure> {
        let ipam: Option<Object> = kept.conf.decode("ipam").ok().flatten();
        let plugin_type: Option<String> = ipam.and_then(|ipam| ipam.decode("type").ok().flatten());
        let plugin_type = plugin_type.and_then(|text| text.parse().ok());
        // Without a plugin that can be named, there never was an address.
        plugin_type.map_or(Ok(()), |plugin_type| {
            self.run(plugin_type, kept.conf.clone())
        })
    }

    /// Renders the configuration as an ADD would: from the lease or, without one, from what is known of the attachment's
    /// own, ADD's result and the configuration that was kept.
    fn present_conf(&self, kept: Option<&Object>) -> Result<(PluginType, Object), Error> {
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

    fn run(&self, plugin_type: PluginType, conf: Object) -> Result<(), Failure> {
        let delegate = self.call.delegate(plugin_type)?;
        self.call
            .log
            .debug(format_args!("calling {}", delegate.program().display()));
        self.call_del(&delegate, conf)
    }

    fn call_del(&self, delegate: &Delegate<'_>, conf: Object) -> Result<(), Failure> {
        let mut conf = self.complete(conf)?;
        match delegate.run(Command::Del, &delegate_conf::to_json(&conf)?) {
            Err(error) if is_for_want_of_master(&error) && conf.contains(PREV_RESULT) => {
                conf.remove(PREV_RESULT);
                Ok(delegate.run(Command::Del, &delegate_conf::to_json(&conf)?)?)
            }
            outcome => Ok(outcome?),
        }
    }

    fn complete(&self, conf: Object) -> Result<Object, ConfigError> {
        match self.replay {
            Some(replay) => Ok(replay.complete(conf, self.call.conf.version)?),
            None => Ok(conf),
        }
    }
}

/// An error with more to say.
fn and(error: Error, more: &str) -> Error {
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
        rest.to_json().ok()
    };
    rest(one) == rest(other)
}

/// Whether an attachment's addresses are noted in the same place.
fn has_same_ipam(one: &Object, other: &Object) -> bool {
    let ipam = |conf: &Object| -> Option<Object> { conf.decode("ipam").ok()? };
    let is_same_ipam = match (ipam(one), ipam(other)) {
        (Some(one), Some(other)) => is_same(&one, &other, &OF_RANGES),
        _ => false,
    };
    is_same_ipam && one.get("name") == other.get("name")
}
