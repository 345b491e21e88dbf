//! Configurations by which plugins would call each other for ever: the plugin that is named as the
//! delegate or as the IPAM plugin would call the same one again.

use cni_plugin::Call;
use cni_types::json::Object;
use cni_types::{Attachment, Error, PluginType};

use crate::config::own_type;
use crate::error::ConfigError;
use crate::scratch::{Kept, Scratch};

/// The name of this plugin.
const OWN_TYPE: &str = "flannel";

/// Refuses this plugin as its own delegate; `key` is the key that names the delegate.
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
pub(crate) fn refuse_false_ipam(ipam: &Object) -> Result<(), ConfigError> {
    let Some(text) = ipam_type(ipam) else {
        return Ok(());
    };
    refuse_own_type(&text, "ipam.type")?;
    match text.parse::<PluginType>() {
        Ok(plugin_type) if plugin_type.is_no_ipam() => Err(ConfigError::NoIpam(plugin_type)),
        _ => Ok(()),
    }
}

/// The `type` in `ipam`; `None` if there is none that can be read.
pub(crate) fn ipam_type(ipam: &Object) -> Option<String> {
    ipam.decode("type").ok().flatten()
}

/// The IPAM plugin of a delegate's configuration; `None` if it names none that can give addresses.
pub(crate) fn ipam_plugin_of(conf: &Object) -> Option<PluginType> {
    let ipam = ipam_of(conf).filter(|ipam| refuse_false_ipam(ipam).is_ok())?;
    ipam_type(&ipam)?.parse().ok()
}

/// Refuses a delegate's configuration whose `ipam` is a false one.
///
/// # Errors
/// As [`refuse_false_ipam`].
pub(crate) fn refuse_false_ipam_of(conf: &Object) -> Result<(), ConfigError> {
    ipam_of(conf).map_or(Ok(()), |ipam| refuse_false_ipam(&ipam))
}

/// The `ipam` of a delegate's configuration; `None` if there is none that can be read.
pub(crate) fn ipam_of(conf: &Object) -> Option<Object> {
    conf.decode("ipam").ok().flatten()
}

/// Finds the configuration that is kept for an attachment, unless that is the one that this plugin
/// is called with: then another flannel, whose delegate this plugin is, has kept it, and replaying
/// it would call this plugin for ever.
pub(crate) fn find_kept(
    call: &Call<'_>,
    scratch: &Scratch,
    attachment: &Attachment,
) -> Result<Option<Kept>, Error> {
    let kept = scratch.find(attachment)?;
    Ok(kept.filter(|kept| match kept {
        Kept::Conf(kept) => {
            let kept_type = kept.plugin_type.as_str();
            // A configuration of type flannel is never replayed.
            refuse_own_type(kept_type, "type").is_err()
                || own_type(call).as_deref() != Some(kept_type)
        }
        Kept::Debris => true,
    }))
}
