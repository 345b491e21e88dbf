//! Refuses configurations with recursive delegation: the plugin named as the delegate or as the
//! IPAM plugin would call the same plugin again.

use cni_plugin::Call;
use cni_types::json::Object;
use cni_types::{Attachment, Error, PluginType};

use crate::config::own_type;
use crate::error::ConfigError;
use crate::scratch::{KeptContents, Scratch};

/// The name of this plugin.
const OWN_TYPE: &str = "flannel";

/// Refuses `flannel` as its own delegate; `key` is the key that names the delegate.
///
/// # Errors
/// [`ConfigError::OwnType`].
pub(crate) fn refuse_own_type(delegate_type: &str, key: &'static str) -> Result<(), ConfigError> {
    if delegate_type.eq_ignore_ascii_case(OWN_TYPE) {
        return Err(ConfigError::OwnType(key));
    }
    Ok(())
}

/// Refuses an `ipam` whose `type` is known to be no IPAM plugin: the delegate would call it with
/// the delegate's own configuration.
///
/// # Errors
/// [`ConfigError::OwnType`], [`ConfigError::NoIpam`].
pub(crate) fn refuse_invalid_ipam(ipam: &Object) -> Result<(), ConfigError> {
    let Some(text) = ipam_type(ipam) else {
        return Ok(());
    };
    refuse_own_type(&text, "ipam.type")?;
    match text.parse::<PluginType>() {
        Ok(plugin_type) if plugin_type.is_no_ipam() => Err(ConfigError::NoIpam(plugin_type)),
        _ => Ok(()),
    }
}

/// The `type` in `ipam`; `None` if it is missing or cannot be decoded.
pub(crate) fn ipam_type(ipam: &Object) -> Option<String> {
    ipam.decode("type").ok().flatten()
}

/// The IPAM plugin of a delegate's configuration; `None` if it names no valid one.
pub(crate) fn ipam_plugin_of(conf: &Object) -> Option<PluginType> {
    let ipam = ipam_of(conf).filter(|ipam| refuse_invalid_ipam(ipam).is_ok())?;
    ipam_type(&ipam)?.parse().ok()
}

/// As [`refuse_invalid_ipam`], for the `ipam` of a delegate's configuration.
///
/// # Errors
/// As [`refuse_invalid_ipam`].
pub(crate) fn refuse_invalid_ipam_of(conf: &Object) -> Result<(), ConfigError> {
    ipam_of(conf).map_or(Ok(()), |ipam| refuse_invalid_ipam(&ipam))
}

/// The `ipam` of a delegate's configuration; `None` if it is missing or cannot be decoded.
pub(crate) fn ipam_of(conf: &Object) -> Option<Object> {
    conf.decode("ipam").ok().flatten()
}

/// Finds the kept configuration of an attachment, unless it names this call's own type: then
/// another flannel, whose delegate this plugin is, has kept it, and calling the delegate with it
/// would recurse without end.
pub(crate) fn find_kept(
    call: &Call<'_>,
    scratch: &Scratch,
    attachment: &Attachment,
) -> Result<Option<KeptContents>, Error> {
    let kept = scratch.find(attachment)?;
    Ok(kept.filter(|kept| match kept {
        KeptContents::Conf(kept) => {
            let kept_type = kept.plugin_type.as_str();
            // A delegate of type flannel is never called.
            refuse_own_type(kept_type, "type").is_err()
                || own_type(call).as_deref() != Some(kept_type)
        }
        KeptContents::Debris => true,
    }))
}
