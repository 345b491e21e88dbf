//! ADD: the delegate's configuration is rendered and kept, then the delegate is called with it.

use std::os::fd::AsFd;
use std::time::Duration;

use cni_plugin::{Call, Command, Delegate, DelegateError, Log};
use cni_types::{Attachment, Error};

use crate::config::Config;
use crate::delegate_conf;
use crate::error::explain_old_bridge;
use crate::outlook;
use crate::scratch::{Failures, Kept, KeptConf, Scratch};
use crate::subnet_env;

/// How long another ADD of the attachment is waited for, and what a killed one has started.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) fn add(call: &Call<'_>, attachment: &Attachment) -> Result<String, Error> {
    let config = Config::of(call)?;
    let lease = subnet_env::read_or_wait(&config.subnet_file, config.subnet_file_wait, call.log)?;
    config.require_room(&lease)?;
    call.log.debug(format_args!(
        "{} has the lease: {lease}",
        config.subnet_file.display()
    ));
    let conf = delegate_conf::render(&config, &call.conf.name, &lease)?;
    let json = delegate_conf::to_json(&conf)?;
    let delegate = call.delegate(config.delegate_type)?;

    let scratch = Scratch::create(&config.data_dir)?;
    // What cannot be read is refused before a delegate starts. What counts is read once more, under
    // the lock.
    scratch.find(attachment)?;
    let in_use = scratch.in_use(attachment)?;
    let delegate = delegate.with_lifeline(in_use.as_fd());
    // It does nothing before it is given its configuration, which is after that is kept: what takes
    // longest comes first.
    let started = delegate.start(Command::Add)?;
    call.log
        .debug(format_args!("{} started", delegate.program().display()));
    let earlier = scratch.keep(attachment, &conf, &in_use, OTHERS_TIMEOUT)?;
    call.log.debug(format_args!(
        "configuration kept in {}",
        config.data_dir.display()
    ));
    let outcome = started.add(&json, call.conf.version);
    if let Err(error) = &outcome {
        let attempt = Attempt {
            attachment,
            scratch: &scratch,
            earlier,
            delegate: &delegate,
            json: &json,
            log: call.log,
        };
        attempt.undo(error);
    }
    // What the delegate has started for good, a daemon, is nothing that DEL waits for. What a
    // killed one has started may still be at work.
    if outcome.as_ref().err().is_none_or(DelegateError::has_ended)
        && let Err(error) = in_use.release()
    {
        call.log.error(format_args!("{error}"));
    }
    outcome.map_err(|error| explain_old_bridge(error.into(), &lease))
}

/// An ADD that the delegate has failed.
struct Attempt<'a> {
    attachment: &'a Attachment,
    scratch: &'a Scratch,
    /// What was kept before it.
    earlier: Option<Kept>,
    delegate: &'a Delegate<'a>,
    json: &'a str,
    log: &'a Log,
}

impl Attempt<'_> {
    /// Leaves things as they were. What cannot be undone now stays kept, for the DEL that the
    /// runtime sends.
    fn undo(self, error: &DelegateError) {
        self.log
            .info(format_args!("the delegate failed, undoing: {error}"));
        let undone = match &self.earlier {
            // A repeated ADD: its rollback would be that of the one that succeeded.
            Some(Kept::Conf(earlier)) if earlier.failures.is_empty() => self.put_back(earlier),
            Some(Kept::Conf(earlier)) => self.delete(error).and_then(|()| self.put_back(earlier)),
            Some(Kept::Debris) | None => self.delete(error).and_then(|()| self.forget()),
        };
        if let Err(error) = undone {
            self.log
                .error(format_args!("left for DEL, as undoing failed: {error}"));
            self.note(&error);
        }
    }

    /// Removes what the delegate has made.
    fn delete(&self, error: &DelegateError) -> Result<(), Error> {
        if matches!(error, DelegateError::Start { .. }) {
            return Ok(());
        }
        match self.delegate.run(Command::Del, self.json) {
            Err(of_del) if outlook::left_nothing(error, &of_del) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    fn put_back(&self, earlier: &KeptConf) -> Result<(), Error> {
        Ok(self.scratch.put_back(self.attachment, earlier)?)
    }

    fn forget(&self) -> Result<(), Error> {
        Ok(self.scratch.remove(self.attachment)?)
    }

    /// Notes that the configuration is one of an ADD that failed.
    fn note(&self, error: &Error) {
        if let Ok(Some(Kept::Conf(kept))) = self.scratch.find(self.attachment)
            && let Err(error) =
                self.scratch
                    .note(self.attachment, &kept, &Failures::default().and(error))
        {
            self.log.error(format_args!("cannot note that: {error}"));
        }
    }
}
