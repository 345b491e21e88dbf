//! CHECK: the delegate is called with the configuration that ADD kept.

use std::ffi::OsStr;

use cni_plugin::{Call, Command};
use cni_types::{Attachment, Error, Version};

use crate::config::Replay;
use crate::error::{ConfigError, NotKept, is_missing_interfaces, is_missing_master, naming_file};
use crate::prev_result::{self, version_of};
use crate::scratch::{KeptContents, Scratch};
use crate::{circle, delegate_conf, next_hops};

pub(crate) fn check(call: &Call<'_>, attachment: &Attachment) -> Result<(), Error> {
    let replay = Replay::of(call)?;
    let kept = match Scratch::open(&replay.data_dir)? {
        Some(scratch) => circle::find_kept(call, &scratch, attachment)?,
        None => None,
    };
    let Some(KeptContents::Conf(kept)) = kept else {
        return Err(NotKept {
            attachment: attachment.clone(),
            data_dir: replay.data_dir,
        }
        .into());
    };
    let mut conf = kept.conf;
    circle::refuse_own_type(kept.plugin_type.as_str(), "type")
        .and_then(|()| circle::refuse_invalid_ipam_of(&conf))
        .map_err(|error| naming_file(error.into(), &kept.file))?;
    let version = version_of(&conf);
    // A delegate would refuse CHECK in a version that does not have it.
    if version.is_some_and(|version| version < Version::V0_4_0) {
        conf.set("cniVersion", &call.conf.version)
            .map_err(ConfigError::from)?;
    }
    let mut conf = replay
        .complete(conf, call.conf.version)
        .map_err(ConfigError::from)?;
    next_hops::complete(&mut conf);
    let has_no_interfaces = version.is_some_and(|version| version < Version::V0_3_0);
    if has_no_interfaces
        && let Some(netns) = call.environment.get("CNI_NETNS").and_then(OsStr::to_str)
    {
        prev_result::name_interface(&mut conf, attachment, netns);
    }
    let json = delegate_conf::to_json(call, &conf)?;
    let delegate = call.delegate(kept.plugin_type)?;
    match delegate.run(Command::Check, &json) {
        Err(error)
            if is_missing_master(&error) || has_no_interfaces && is_missing_interfaces(&error) =>
        {
            call.log
                .info(format_args!("the delegate cannot check the link: {error}"));
            Ok(())
        }
        outcome => Ok(outcome?),
    }
}
