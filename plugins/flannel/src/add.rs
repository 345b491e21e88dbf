//! ADD: the delegate's configuration is rendered and kept, then the delegate is called with it.

use std::os::fd::AsFd;

use cni_plugin::{Call, Command, Delegate, DelegateError, Log};
use cni_types::{Attachment, Error};

use crate::config::Config;
use crate::delegate_conf;
use crate::error::explain_old_bridge;
use crate::scratch::{Kept, Scratch};
use crate::subnet_env;

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
    let earlier = scratch.find(attachment)?;
    let in_use = scratch.mark_in_use(attachment)?;
    let delegate = delegate.with_lifeline(in_use.as_fd());
    // It does nothing before it is given its configuration, which is after that is kept: what takes longest comes first.
    let started = delegate.start(Command::Add)?;
    call.log
        .debug(format_args!("{} started", delegate.program().display()));
    scratch.keep(attachment, &conf)?;
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
    // What the delegate has started for good, a daemon, is nothing that DEL waits for. What a killed one has started may
    // still be at work.
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
        let undone = match (self.earlier, error) {
            // An ADD too many: to undo it would be to undo the one that succeeded.
            (Some(Kept::Conf(_, earlier)), _) => self
                .scratch
                .keep(self.attachment, &earlier)
                .map_err(Error::from),
            (_, DelegateError::Start { .. }) => {
                self.scratch.remove(self.attachment).map_err(Error::from)
            }
            _ => self
                .delegate
                .run(Command::Del, self.json)
                .map_err(Error::from)
                .and_then(|()| Ok(self.scratch.remove(self.attachment)?)),
        };
        if let Err(error) = undone {
            self.log
                .error(format_args!("left for DEL, as undoing failed: {error}"));
        }
    }
}
