//! DEL of one attachment, for a runtime's DEL and for GC.
//!
//! The delegate gets the configuration that ADD kept. It may be one that no DEL will ever succeed
//! with: the delegate is not installed any more, or the configuration is a mistake. The container
//! is gone all the same, so what the present network configuration renders is tried next, then the
//! IPAM plugin alone. Failures that may pass are reported, and noted with what is kept. A
//! configuration that no ADD is known to have succeeded with holds up one DEL, and no more.

use std::path::Path;

use cni_plugin::{Call, Command, Delegate, DelegateError};
use cni_types::json::Object;
use cni_types::{Attachment, Code, Error, PluginType, Version};

use crate::circle;
use crate::config::{Config, Replay};
use crate::delegate_conf;
use crate::error::{
    ConfigError, ScratchError, is_for_other_master, is_for_want_of_master, naming_file,
};
use crate::outlook::Outlook;
use crate::prev_result::{PREV_RESULT, version_of};
use crate::scratch::{Failures, KeptConf, Scratch};
use crate::subnet_env::{self, Lease};

/// The keys in which two configurations may differ and still be the same to a delegate that
/// deletes.
const OF_THE_CALL: [&str; 2] = ["runtimeConfig", PREV_RESULT];

/// After how many failures the next one is the last: no ADD has succeeded with the configuration,
/// nor has one DEL.
const ENOUGH_FAILURES: u32 = 2;

/// The keys of `ipam` that do not say where addresses are noted.
const OF_RANGES: [&str; 2] = ["ranges", "routes"];

/// The key that names the link of the node that macvlan and ipvlan make theirs on.
const MASTER: &str = "master";

/// A master that every namespace has, with an MTU that no configuration exceeds.
const ANY_MASTER: &str = "lo";

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
    /// Deletes with the configuration that was kept, or with whatever else is known, and removes
    /// what was kept.
    ///
    /// # Errors
    /// The delegate's, with the file that its configuration was kept in. Where the present network
    /// configuration is another one and its DEL succeeds, that is at most once; and so it is where
    /// no ADD has succeeded with the kept one, unless others hold a lock, the node is broken or the
    /// delegate is not installed.
    pub(crate) fn by_kept(&self, scratch: &Scratch, kept: &KeptConf) -> Result<(), Error> {
        if let Err(failure) = self.run(&kept.plugin_type, &kept.conf) {
            self.in_spite_of(failure, scratch, kept)?;
        }
        Ok(scratch.remove_kept(self.attachment, kept)?)
    }

    /// Deletes where nothing usable is kept: the file was lost, or there never was an ADD. Where no
    /// configuration can be rendered, or it is one that nothing can have been added with, there is
    /// nothing to do. A configuration that fails is kept in `data_dir` with its failure, so that
    /// the next attempt is known to be the second.
    ///
    /// # Errors
    /// The delegate's.
    pub(crate) fn by_present(&self, data_dir: &Path) -> Result<(), Error> {
        let log = self.call.log;
        let (plugin_type, conf) = match self.present_conf(None) {
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
        // There was no ADD that it succeeded with, and now this.
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

    /// Deletes although the delegate's DEL fails with the configuration that was kept: with the
    /// present one, which may be a correction of it, and then by the IPAM plugin of the one that
    /// was kept. That is done at once where the first failure is no passing one, or the present
    /// configuration leads to the very same things; else by the second DEL.
    fn in_spite_of(
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
        let present = self.present_conf(Some(&kept.conf)).ok();
        let present = present.filter(|(_, conf)| !is_same(conf, &kept.conf, &OF_THE_CALL));
        let Some((plugin_type, conf)) = present else {
            return match outlook {
                // What was refused has made nothing.
                Outlook::Refused if self.release(&kept.conf).is_ok() => Ok(()),
                // All that is known speaks for it: it has succeeded on ADD.
                _ if kept.failures.is_empty() => Err(error),
                _ => self.fail_or_give_up(error, outlook, scratch, kept),
            };
        };
        let has_same_addresses = has_same_ipam(&conf, &kept.conf);
        let has_all = has_same_addresses && plugin_type == kept.plugin_type;
        let is_first = kept.failures.is_empty();
        if is_first && !outlook.is_lasting() && !has_all && self.is_noted(scratch, kept, &error) {
            return Err(and(
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
            Err(present) => {
                let msg = format!(
                    "with the present network configuration: {}",
                    present.error.msg
                );
                let error = and(error, &msg);
                match present.outlook {
                    Outlook::Soon => Err(with_code_of(error, &present)),
                    Outlook::Node => Err(error),
                    _ => self.fail_or_give_up(error, outlook, scratch, kept),
                }
            }
        }
    }

    /// Fails, where no configuration is left to call a delegate with; unless that has been so
    /// before, and the configuration itself may be at fault.
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

    /// Whether a failure could be noted. Where nothing can be noted, there is no later attempt to
    /// wait for.
    fn is_noted(&self, scratch: &Scratch, kept: &KeptConf, error: &Error) -> bool {
        let noted = scratch.note(self.attachment, kept, &kept.failures.and(error));
        if let Err(unnoted) = &noted {
            self.call.log.error(format_args!("{unnoted}"));
        }
        noted.is_ok()
    }

    /// Leaves it to the end of the container's namespace to delete what no delegate does, but for
    /// the addresses.
    fn give_up(&self, error: Error, conf: &Object) -> Result<(), Error> {
        self.call.log.error(format_args!("given up: {error}"));
        self.release_if_possible(error, conf)
    }

    /// Releases addresses by the IPAM plugin. Those that stay taken all the same are for GC, which
    /// asks the present one for all that is not valid.
    ///
    /// # Errors
    /// `error`, if the IPAM plugin could release the addresses at another time.
    fn release_if_possible(&self, error: Error, conf: &Object) -> Result<(), Error> {
        match self.release(conf) {
            Ok(()) => Ok(()),
            Err(failure) if matches!(failure.outlook, Outlook::Soon | Outlook::Node) => {
                let error = and(error, &failure.error.msg);
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
        // Without a plugin that can be named, there never was an address.
        circle::ipam_plugin_of(conf).map_or(Ok(()), |plugin_type| self.run(&plugin_type, conf))
    }

    /// Renders the configuration as an ADD would: from the lease or, without one, from what is
    /// known of the attachment's own, ADD's result and the configuration that was kept.
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

    /// Calls a plugin's DEL. No configuration starts plugins that would call each other for ever.
    fn run(&self, plugin_type: &PluginType, conf: &Object) -> Result<(), Failure> {
        circle::refuse_own_type(plugin_type.as_str(), "type")?;
        let mut conf = conf.clone();
        if circle::refuse_false_ipam_of(&conf).is_err() {
            // It cannot have given an address.
            conf.remove("ipam");
        }
        let delegate = self.call.delegate(plugin_type.clone())?;
        self.call
            .log
            .debug(format_args!("calling {}", delegate.program().display()));
        self.call_del(&delegate, &conf)
    }

    /// Calls a delegate's DEL in the version of the configuration or, if the delegate does not know
    /// that, in the latest earlier one that it knows. ADD may have had another delegate, and the
    /// list has at least the version of GC when GC is called.
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
            let outcome = delegate.run(Command::Del, &delegate_conf::to_json(&conf)?);
            match outcome {
                Err(error) if is_for_want_of_master(&error) && conf.contains(PREV_RESULT) => {
                    conf.remove(PREV_RESULT);
                }
                Err(error) if is_for_other_master(&error) && !has_any_master(&conf) => {
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

/// Whether a delegate has refused a call for the version of its configuration.
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
        rest
    };
    rest(one) == rest(other)
}

/// Whether an attachment's addresses are noted in the same place.
fn has_same_ipam(one: &Object, other: &Object) -> bool {
    let is_same_ipam = match (circle::ipam_of(one), circle::ipam_of(other)) {
        (Some(one), Some(other)) => is_same(&one, &other, &OF_RANGES),
        _ => false,
    };
    is_same_ipam && one.get("name") == other.get("name")
}
