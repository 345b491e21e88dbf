//! ADD: the delegate's configuration is rendered and kept, then the delegate is called with it.

use std::os::fd::AsFd;
use std::time::Duration;

use cni_plugin::{Call, Command, DelegateError};
use cni_types::{Attachment, Error};

use crate::config::Config;
use crate::delegate_conf;
use crate::error::explain_old_bridge;
use crate::rollback::{FailedAdd, Undo};
use crate::scratch::Scratch;
use crate::subnet_env;

/// The timeout for another ADD of the attachment, and for the processes of a killed one.
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
    let json = delegate_conf::to_json(call, &conf)?;
    let delegate = call.delegate(config.delegate_type)?;

    let scratch = Scratch::create(&config.data_dir)?;
    // A file that cannot be read fails the ADD before the delegate starts. `keep` reads it once
    // more, under the lock.
    scratch.find(attachment)?;
    let in_use = scratch.in_use(attachment)?;
    let delegate = delegate.with_lifeline(in_use.as_fd());
    // The delegate does nothing before it gets its configuration, which is kept while the kernel
    // sets up the process.
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
        let failed = FailedAdd {
            attachment,
            scratch: &scratch,
            delegate: &delegate,
            json: &json,
            error,
            log: call.log,
        };
        failed.roll_back(&Undo::steps(error, earlier));
    }
    // DEL does not wait for a process that the delegate leaves behind for good, such as a daemon.
    // The processes of a killed delegate may still be at work.
    if outcome.as_ref().err().is_none_or(DelegateError::has_ended)
        && let Err(error) = in_use.release()
    {
        call.log.error(format_args!("{error}"));
    }
    outcome.map_err(|error| explain_old_bridge(error.into(), &lease))
}
