//! `flannel`, a meta plugin: it completes another plugin's configuration from the lease that flanneld got for this node,
//! keeps it for DEL, and calls that plugin (CNI specification, "Section 4: plugin delegation").

mod config;
mod delegate_conf;
mod error;
mod scratch;
mod subnet_env;

use std::path::Path;

use cni_plugin::{Call, Command, Delegate, DelegateError, Plugin};
use cni_types::json::Object;
use cni_types::{Attachment, Error};

use crate::config::{Config, Replay};
use crate::error::{ConfigError, NotKept};
use crate::scratch::{Kept, Scratch};

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct Flannel;

impl Plugin for Flannel {
    fn name(&self) -> &'static str {
        "flannel"
    }

    fn add(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        _netns: &Path,
    ) -> Result<String, Error> {
        let config = Config::of(call)?;
        let lease = subnet_env::read(&config.subnet_file)?;
        let conf =
            delegate_conf::render(&config, &call.conf.name, &lease).map_err(ConfigError::Render)?;
        let json = conf.to_json().map_err(ConfigError::Render)?;
        let delegate = call.delegate(config.delegate_type)?;

        let scratch = Scratch::create(&config.data_dir)?;
        let earlier = scratch.find(attachment)?;
        scratch.keep(attachment, &conf)?;
        delegate.add(&json, call.conf.version).map_err(|error| {
            if let Some(Kept::Conf(_, earlier)) = earlier {
                // An ADD too many: to undo it would be to undo the one that succeeded.
                let _ = scratch.keep(attachment, &earlier);
            } else if matches!(error, DelegateError::Start { .. })
                || delegate.run(Command::Del, &json).is_ok()
            {
                let _ = scratch.remove(attachment);
            }
            // What is not undone now stays kept, for the DEL that the runtime sends.
            error.into()
        })
    }

    fn del(
        &self,
        call: &Call<'_>,
        attachment: &Attachment,
        _netns: Option<&Path>,
    ) -> Result<(), Error> {
        let replay = Replay::of(call)?;
        let Some(scratch) = Scratch::open(&replay.data_dir)? else {
            return Ok(());
        };
        match scratch.find(attachment)? {
            None => Ok(()),
            Some(Kept::Debris) => Ok(scratch.remove(attachment)?),
            Some(Kept::Conf(plugin_type, conf)) => {
                let delegate = call.delegate(plugin_type)?;
                run(&delegate, Command::Del, &replay, conf)?;
                Ok(scratch.remove(attachment)?)
            }
        }
    }

    fn check(&self, call: &Call<'_>, attachment: &Attachment, _netns: &Path) -> Result<(), Error> {
        let replay = Replay::of(call)?;
        let kept = match Scratch::open(&replay.data_dir)? {
            Some(scratch) => scratch.find(attachment)?,
            None => None,
        };
        let Some(Kept::Conf(plugin_type, conf)) = kept else {
            return Err(NotKept {
                attachment: attachment.clone(),
                data_dir: replay.data_dir,
            }
            .into());
        };
        let delegate = call.delegate(plugin_type)?;
        run(&delegate, Command::Check, &replay, conf)
    }
}

/// Calls the delegate with a configuration that was kept.
fn run(
    delegate: &Delegate<'_>,
    command: Command,
    replay: &Replay,
    conf: Object,
) -> Result<(), Error> {
    let conf = replay.complete(conf).map_err(ConfigError::Render)?;
    let json = conf.to_json().map_err(ConfigError::Render)?;
    Ok(delegate.run(command, &json)?)
}
