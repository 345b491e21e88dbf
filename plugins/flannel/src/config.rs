//! The plugin's own part of the network configuration.

use std::path::PathBuf;
use std::time::Duration;

use cni_plugin::Call;
use cni_types::json::{DecodeError, Object};
use cni_types::{AddResult, Error, PluginType, Version};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::circle::{self, ipam_type};
use crate::delegate_conf::DEFAULT_IPAM;
use crate::error::ConfigError;
use crate::prev_result::{self, version_of};
use crate::subnet_env::{Lease, LeaseError};

const DEFAULT_SUBNET_FILE: &str = "/run/flannel/subnet.env";
const DEFAULT_DATA_DIR: &str = "/var/lib/cni/flannel";
const DEFAULT_DELEGATE: &str = "bridge";
const DEFAULT_SUBNET_FILE_WAIT: Duration = Duration::from_secs(1);

/// What is needed to render a delegate's configuration, as it is written.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawConfig {
    cni_version: String,
    subnet_file: String,
    subnet_file_wait: Option<f64>,
    data_dir: String,
    delegate: Object,
    ipam: Object,
    runtime_config: Option<Object>,
    args: Option<Box<RawValue>>,
    dns: Option<Box<RawValue>>,
}

/// What is needed to render a delegate's configuration.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// flanneld's lease.
    pub(crate) subnet_file: PathBuf,
    /// For how long ADD waits for the lease.
    pub(crate) subnet_file_wait: Duration,
    /// Where the delegates' configurations are kept for CHECK and DEL.
    pub(crate) data_dir: PathBuf,
    /// The `type` of the plugin to delegate to.
    pub(crate) delegate_type: PluginType,
    /// What the delegate's configuration starts from.
    pub(crate) delegate: Object,
    /// What the delegate's `ipam` starts from.
    pub(crate) ipam: Object,
    /// `cniVersion`, where there is one.
    pub(crate) cni_version: Option<String>,
    /// `runtimeConfig`, for the delegate as it is.
    pub(crate) runtime_config: Option<Object>,
    /// `args`, for the delegate unless it has its own.
    pub(crate) args: Option<Box<RawValue>>,
    /// `dns`, for the delegate unless it has its own.
    pub(crate) dns: Option<Box<RawValue>>,
}

impl Config {
    /// Reads the configuration of a call.
    ///
    /// Errors: code 6 for a key of the wrong type, 7 for a value that makes no sense.
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Error> {
        let raw: RawConfig = call.conf.decode()?;
        let has_key = |key: &str| {
            raw.delegate
                .keys()
                .any(|name| name.eq_ignore_ascii_case(key))
        };
        for key in ["name", "ipam"] {
            if has_key(key) {
                return Err(ConfigError::ReservedKey(key).into());
            }
        }
        let subnet_file_wait = match raw.subnet_file_wait {
            None => DEFAULT_SUBNET_FILE_WAIT,
            Some(seconds) => Duration::try_from_secs_f64(seconds)
                .map_err(|_| ConfigError::SubnetFileWait(seconds))?,
        };
        let delegate_type: Option<String> = raw
            .delegate
            .decode("type")
            .map_err(ConfigError::DelegateType)?;
        let delegate_type = match delegate_type {
            None if has_key("type") => return Err(ConfigError::NullType.into()),
            None => DEFAULT_DELEGATE.to_owned(),
            Some(delegate_type) => delegate_type,
        };
        circle::refuse_own_type(&delegate_type, "delegate.type")?;
        // Where the delegate calls this plugin again, as its IPAM plugin or because that is what the delegate's file has
        // become, it does so with its own configuration.
        if own_type(call).as_ref() == Some(&delegate_type) {
            return Err(ConfigError::Recursion(delegate_type).into());
        }
        circle::refuse_false_ipam(&raw.ipam)?;
        Ok(Self {
            subnet_file: or_default(raw.subnet_file, DEFAULT_SUBNET_FILE),
            subnet_file_wait,
            data_dir: or_default(raw.data_dir, DEFAULT_DATA_DIR),
            delegate_type: delegate_type.parse().map_err(ConfigError::InvalidType)?,
            delegate: raw.delegate,
            ipam: raw.ipam,
            cni_version: Some(raw.cni_version).filter(|version| !version.is_empty()),
            runtime_config: raw.runtime_config,
            args: raw.args,
            dns: raw.dns,
        })
    }

    /// Whether the lease has room for a container: only `host-local` gives addresses of it.
    ///
    /// # Errors
    /// [`Lease::require_room`]'s.
    pub(crate) fn require_room(&self, lease: &Lease) -> Result<(), LeaseError> {
        match ipam_type(&self.ipam).as_deref() {
            None | Some(DEFAULT_IPAM) => lease.require_room(&self.subnet_file),
            Some(_) => Ok(()),
        }
    }
}

/// The `type` of the configuration of a call: the name that the plugin is called by. `None` if it has none.
pub(crate) fn own_type(call: &Call<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Header {
        r#type: Option<String>,
    }
    call.conf.decode::<Header>().ok()?.r#type
}

/// What CHECK and DEL read. They work whatever has become of the rest.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawReplay {
    data_dir: String,
    runtime_config: Option<Box<RawValue>>,
    prev_result: Option<Box<RawValue>>,
}

/// What CHECK and DEL need to call the delegate again with the configuration that was kept.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    /// Where it was kept.
    pub(crate) data_dir: PathBuf,
    runtime_config: Option<Box<RawValue>>,
    prev_result: Option<Box<RawValue>>,
}

impl Replay {
    /// Reads the configuration of a call.
    ///
    /// Errors: code 6 for a key of the wrong type.
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Error> {
        let raw: RawReplay = call.conf.decode()?;
        Ok(Self {
            data_dir: or_default(raw.data_dir, DEFAULT_DATA_DIR),
            runtime_config: raw.runtime_config,
            prev_result: raw.prev_result,
        })
    }

    /// ADD's result as the runtime gives it back, if it does and it can be read.
    pub(crate) fn prev_result(&self, fallback: Version) -> Option<AddResult> {
        let text = self.prev_result.as_ref()?.get();
        AddResult::decode(text, fallback).ok()
    }

    /// Puts what the runtime gives to this call into a configuration of the delegate's, but for what is no object: no plugin
    /// can read it, and DEL has to get there. `prevResult` gets the configuration's version, as plugins refuse one of
    /// another; it is left out where that version cannot express it.
    pub(crate) fn complete(
        &self,
        mut conf: Object,
        call_version: Version,
    ) -> Result<Object, DecodeError> {
        if let Some(runtime_config) = object(self.runtime_config.as_deref()) {
            conf.set("runtimeConfig", runtime_config)?;
        }
        if let Some(given) = object(self.prev_result.as_deref()) {
            match prev_result::of_version(given, call_version, version_of(&conf)) {
                Some(prev_result) => conf.set("prevResult", &prev_result)?,
                None => conf.remove("prevResult"),
            }
        }
        Ok(conf)
    }
}

fn object(value: Option<&RawValue>) -> Option<&RawValue> {
    value.filter(|value| value.get().starts_with('{'))
}

fn or_default(path: String, default: &str) -> PathBuf {
    if path.is_empty() {
        default.into()
    } else {
        path.into()
    }
}
