//! CHECK and DEL: the delegate is called with the configuration that ADD kept or, where that is lost, with one made anew.

use std::time::Duration;

use cni_plugin::{Call, Command, DelegateError};
use cni_types::json::Object;
use cni_types::{Attachment, Error, PluginType};

use crate::config::{Config, Replay, own_type};
use crate::delegate_conf;
use crate::error::{ConfigError, NotKept};
use crate::next_hops;
use crate::scratch::{Kept, Scratch};
use crate::subnet_env::{self, Lease};

/// How long DEL waits for what a killed ADD has started; it has been told to end, and ends within milliseconds.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(3);

pub(crate) fn check(call: &Call<'_>, attachment: &Attachment) -> Result<(), Error> {
    let replay = Replay::of(call)?;
    let kept = match Scratch::open(&replay.data_dir)? {
        Some(scratch) => find_own(call, &scratch, attachment)?,
        None => None,
    };
    let Some(Kept::Conf(plugin_type, conf)) = kept else {
        return Err(NotKept {
            attachment: attachment.clone(),
            data_dir: replay.data_dir,
        }
        .into());
    };
    let mut conf = replay.complete(conf).map_err(ConfigError::from)?;
    next_hops::complete(&mut conf);
    let json = delegate_conf::to_json(&conf)?;
    let delegate = call.delegate(plugin_type)?;
    Ok(delegate.run(Command::Check, &json)?)
}

pub(crate) fn del(call: &Call<'_>, attachment: &Attachment) -> Result<(), Error> {
    let replay = Replay::of(call)?;
    let scratch = Scratch::open(&replay.data_dir)?;
    let kept = match &scratch {
        Some(scratch) => find(call, scratch, attachment)?,
        None => None,
    };
    match &kept {
        Some(Kept::Conf(plugin_type, conf)) => {
            let json = json(&replay, conf.clone())?;
            let delegate = call.delegate(plugin_type.clone())?;
            call.log.debug(format_args!(
                "configuration found in {}; calling {}",
                replay.data_dir.display(),
                delegate.program().display()
            ));
            delegate.run(Command::Del, &json)?;
        }
        Some(Kept::Debris) | None => del_anew(call, &replay)?,
    }
    if let (Some(scratch), Some(_)) = (scratch, kept) {
        scratch.remove(attachment)?;
    }
    Ok(())
}

/// Finds what is kept for an attachment, once nothing is at work on it any more.
fn find(
    call: &Call<'_>,
    scratch: &Scratch,
    attachment: &Attachment,
) -> Result<Option<Kept>, Error> {
    if let Err(error) = scratch.wait_until_unused(attachment, ORPHAN_PATIENCE) {
        call.log.error(format_args!(
            "something that ADD has started does not end, going on: {error}"
        ));
    }
    find_own(call, scratch, attachment)
}

/// Finds what is kept for an attachment, unless that is the very configuration that this plugin is called with: another
/// flannel has kept it, whose delegate this one is, and to replay it would be to call itself for ever.
fn find_own(
    call: &Call<'_>,
    scratch: &Scratch,
    attachment: &Attachment,
) -> Result<Option<Kept>, Error> {
    let kept = scratch.find(attachment)?;
    Ok(kept.filter(|kept| match kept {
        Kept::Conf(plugin_type, _) => own_type(call).as_deref() != Some(plugin_type.as_str()),
        Kept::Debris => true,
    }))
}

/// Calls the delegate with a configuration made anew, in the place of one that was lost or never there. If none can be made,
/// or there is no such delegate, nothing can have been added with it.
fn del_anew(call: &Call<'_>, replay: &Replay) -> Result<(), Error> {
    let (plugin_type, conf) = match render_anew(call, replay) {
        Ok(rendered) => rendered,
        Err(error) => {
            call.log.info(format_args!(
                "no configuration is kept, nor can it be made anew: {error}"
            ));
            return Ok(());
        }
    };
    let json = json(replay, conf)?;
    let delegate = match call.delegate(plugin_type) {
        Ok(delegate) => delegate,
        Err(error @ (DelegateError::Missing { .. } | DelegateError::NotExecutable { .. })) => {
            call.log
                .info(format_args!("no configuration is kept: {error}"));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    call.log.info(format_args!(
        "no configuration is kept: calling {} with a new one",
        delegate.program().display()
    ));
    Ok(delegate.run(Command::Del, &json)?)
}

/// Renders the configuration from the lease or, without one, from what the runtime has remembered of ADD's result.
fn render_anew(call: &Call<'_>, replay: &Replay) -> Result<(PluginType, Object), Error> {
    let config = Config::of(call)?;
    let lease = match subnet_env::read(&config.subnet_file, call.log) {
        Ok(lease) => lease,
        Err(error) => replay
            .prev_result(call.conf.version)
            .and_then(|result| Lease::of_result(&result))
            .ok_or(error)?,
    };
    let conf = delegate_conf::render(&config, &call.conf.name, &lease)?;
    Ok((config.delegate_type, conf))
}

fn json(replay: &Replay, conf: Object) -> Result<String, Error> {
    let conf = replay.complete(conf).map_err(ConfigError::from)?;
    Ok(delegate_conf::to_json(&conf)?)
}
