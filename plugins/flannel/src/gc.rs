//! GC: carries out a DEL of each stale attachment with its kept configuration, and then passes GC
//! on to the delegate.

use std::time::Duration;

use cni_plugin::{Call, Command, Delegate, DelegateError};
use cni_types::{Attachment, Error, ValidAttachments};
use state::StateError;

use crate::circle;
use crate::config::{Config, Replay};
use crate::delegate_conf;
use crate::delegate_del::DelegateDel;
use crate::error::ConfigError;
use crate::scratch::{Entry, Scratch, Stale, USUAL_IFNAME};
use crate::subnet_env::{self, Lease};

pub(crate) fn gc(call: &Call<'_>, valid: &ValidAttachments) -> Result<(), Error> {
    // Kept configurations are handled even if the current one is invalid.
    let replay = Replay::of(call)?;
    let scratch = Scratch::open(&replay.data_dir)?;
    let Stale { entries, unread } = match &scratch {
        Some(scratch) => scratch.stale(&call.conf.name, valid)?,
        None => Stale::default(),
    };
    let mut errors: Vec<Error> = unread.into_iter().map(Error::from).collect();
    for entry in &entries {
        if let Some(scratch) = &scratch {
            errors.extend(delete(call, scratch, entry).err());
        }
    }
    let of_entry = |entry: &Entry| Lease::of_delegate_conf(&entry.kept.conf);
    let kept_lease = || {
        let kept = scratch.as_ref()?.find_map(&call.conf.name, of_entry);
        kept.ok()
            .flatten()
            .or_else(|| entries.iter().find_map(of_entry))
    };
    errors.extend(delegate_gc(call, kept_lease, valid).err());
    Error::join(errors).map_or(Ok(()), Err)
}

/// Deletes a stale attachment.
fn delete(call: &Call<'_>, scratch: &Scratch, entry: &Entry) -> Result<(), Error> {
    let ifname = entry.ifname.clone();
    let Some(ifname) = ifname.or_else(|| USUAL_IFNAME.parse().ok()) else {
        return Ok(());
    };
    let attachment = Attachment {
        container_id: entry.container_id.clone(),
        ifname,
    };
    // An ADD that is under way is newer than the list of valid attachments.
    match scratch.wait_until_unused(&attachment, Duration::ZERO) {
        Err(StateError::Locked { .. }) => {
            call.log
                .info(format_args!("{attachment} is being added: left alone"));
            return Ok(());
        }
        outcome => outcome?,
    }
    call.log.info(format_args!(
        "{attachment} is not valid any more: deleting it"
    ));
    let environment = call
        .environment
        .with("CNI_CONTAINERID", attachment.container_id.as_str())
        .with("CNI_IFNAME", attachment.ifname.as_str())
        .with("CNI_NETNS", "");
    let call = &Call {
        environment: &environment,
        ..*call
    };
    let delegate_del = DelegateDel {
        call,
        replay: None,
        attachment: &attachment,
    };
    delegate_del
        .delete_with_kept(scratch, &entry.kept)
        .map_err(|error| {
            let msg = format!("{attachment}: {}", error.msg);
            Error { msg, ..error }
        })
}

/// Passes GC on to the delegate, with a configuration rendered from the lease or, without one, from
/// any kept configuration. A delegate without GC would not pass it on to its IPAM plugin, so this
/// calls that too.
fn delegate_gc(
    call: &Call<'_>,
    kept_lease: impl FnOnce() -> Option<Lease>,
    valid: &ValidAttachments,
) -> Result<(), Error> {
    let config = Config::of(call)?;
    let lease = match subnet_env::read(&config.subnet_file, call.log) {
        Ok(lease) => lease,
        Err(error) => kept_lease().ok_or(error)?,
    };
    let mut conf = delegate_conf::render(&config, &call.conf.name, &lease)?;
    valid.put_into(&mut conf).map_err(ConfigError::from)?;
    let json = delegate_conf::to_json(call, &conf)?;
    let is_known = |delegate: &Delegate<'_>| {
        let is_known = delegate.run_if_known(Command::Gc, &json)?;
        if !is_known {
            call.log.info(format_args!(
                "{} does not know GC",
                delegate.program().display()
            ));
        }
        Ok::<_, DelegateError>(is_known)
    };
    if is_known(&call.delegate(config.delegate_type.clone())?)? {
        return Ok(());
    }
    // Without the IPAM plugin, no address can have been allocated.
    if let Some(ipam_type) = circle::ipam_plugin_of(&conf)
        && let Ok(ipam) = call.delegate(ipam_type)
    {
        is_known(&ipam)?;
    }
    Ok(())
}
