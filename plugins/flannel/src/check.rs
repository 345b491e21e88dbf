//! CHECK and DEL: the delegate is called with the configuration that ADD kept.

use std::ffi::OsStr;
use std::time::Duration;

use cni_plugin::{Call, Command};
use cni_types::{Attachment, Error, Version};

use crate::circle;
use crate::config::{Replay, own_type};
use crate::delegate_conf;
use crate::deletion::Deletion;
use crate::error::{
    ConfigError, NotKept, is_for_want_of_interfaces, is_for_want_of_master, naming_file,
};
use crate::next_hops;
use crate::prev_result::{self, version_of};
use crate::scratch::{Kept, Scratch};

/// How long DEL waits for what a killed ADD has started; it has been told to end, and ends within
/// milliseconds.
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) fn check(call: &Call<'_>, attachment: &Attachment) -> Result<(), Error> {
    let replay = Replay::of(call)?;
    let kept = match Scratch::open(&replay.data_dir)? {
        Some(scratch) => find_own(call, &scratch, attachment)?,
        None => None,
    };
    let Some(Kept::Conf(kept)) = kept else {
        return Err(NotKept {
            attachment: attachment.clone(),
            data_dir: replay.data_dir,
        }
        .into());
    };
    let mut conf = kept.conf;
    circle::refuse_own_type(kept.plugin_type.as_str(), "type")
        .and_then(|()| circle::refuse_false_ipam_of(&conf))
        .map_err(|error| naming_file(error.into(), &kept.file))?;
    let version = version_of(&conf);
    // A delegate would refuse to check by a version that has no CHECK.
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
    let json = delegate_conf::to_json(&conf)?;
    let delegate = call.delegate(kept.plugin_type)?;
    match delegate.run(Command::Check, &json) {
        Err(error)
            if is_for_want_of_master(&error)
                || has_no_interfaces && is_for_want_of_interfaces(&error) =>
        {
            call.log
                .info(format_args!("the delegate cannot check the link: {error}"));
            Ok(())
        }
        outcome => Ok(outcome?),
    }
}

pub(crate) fn del(call: &Call<'_>, attachment: &Attachment) -> Result<(), Error> {
    let replay = Replay::of(call)?;
    let deletion = Deletion {
        call,
        replay: Some(&replay),
        attachment,
    };
    let Some(scratch) = Scratch::open(&replay.data_dir)? else {
        return deletion.by_present(&replay.data_dir);
    };
    match find(call, &scratch, attachment)? {
        Some(Kept::Conf(kept)) => deletion.by_kept(&scratch, &kept),
        Some(Kept::Debris) => {
            deletion.by_present(&replay.data_dir)?;
            Ok(scratch.remove(attachment)?)
        }
        None => deletion.by_present(&replay.data_dir),
    }
}

/// Finds what is kept for an attachment, once nothing is at work on it any more.
fn find(
    call: &Call<'_>,
    scratch: &Scratch,
    attachment: &Attachment,
) -> Result<Option<Kept>, Error> {
    if let Err(error) = scratch.wait_until_unused(attachment, ORPHAN_TIMEOUT) {
        call.log.error(format_args!(
            "something that ADD has started does not end, going on: {error}"
        ));
    }
    find_own(call, scratch, attachment)
}

/// Finds what is kept for an attachment, unless that is the very configuration that this plugin is
/// called with: another flannel has kept it, whose delegate this one is, and to replay it would be
/// to call itself for ever.
fn find_own(
    call: &Call<'_>,
    scratch: &Scratch,
    attachment: &Attachment,
) -> Result<Option<Kept>, Error> {
    let kept = scratch.find(attachment)?;
    Ok(kept.filter(|kept| match kept {
        Kept::Conf(kept) => {
            let kept_type = kept.plugin_type.as_str();
            // By its proper name it is no delegate, and nothing is ever called with such a
            // configuration.
            circle::refuse_own_type(kept_type, "type").is_err()
                || own_type(call).as_deref() != Some(kept_type)
        }
        Kept::Debris => true,
    }))
}
