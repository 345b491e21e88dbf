//! The configuration of `flannel` itself.

use std::path::PathBuf;
use std::time::Duration;

use cni_plugin::Call;
use cni_types::json::{DecodeError, Object, OptionalText};
use cni_types::{AddResult, Error, NetConf, PluginType, Version};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::circle::{self, ipam_type};
use crate::delegate_conf::DEFAULT_IPAM;
use crate::error::ConfigError;
use crate::prev_result::{self, version_of};
use crate::subnet_env::{Lease, LeaseError};

pub(crate) const DEFAULT_SUBNET_FILE: &str = "/run/flannel/subnet.env";
pub(crate) const DEFAULT_DATA_DIR: &str = "/var/lib/cni/flannel";
const DEFAULT_DELEGATE: &str = "bridge";
const DEFAULT_SUBNET_FILE_WAIT: Duration = Duration::from_secs(1);

/// The keys as they are written.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawConf {
    cni_version: OptionalText,
    subnet_file: OptionalText,
    subnet_file_wait: Option<f64>,
    data_dir: OptionalText,
    delegate: Object,
    ipam: Object,
    runtime_config: Option<Object>,
    args: Option<Box<RawValue>>,
    dns: Option<Box<RawValue>>,
}

/// The configuration from which the delegate's is rendered.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// `subnetFile`: the file with flanneld's lease.
    pub(crate) subnet_file: PathBuf,
    /// `subnetFileWait`: the timeout of ADD for the lease.
    pub(crate) subnet_file_wait: Duration,
    /// `dataDir`: the directory that keeps the delegates' configurations for CHECK and DEL.
    pub(crate) data_dir: PathBuf,
    /// `delegate.type`: the plugin to delegate to.
    pub(crate) delegate_type: PluginType,
    /// `delegate`: the keys that the delegate's configuration starts with.
    pub(crate) delegate: Object,
    /// `ipam`: the keys that the delegate's `ipam` starts with.
    pub(crate) ipam: Object,
    /// `cniVersion`, if it is present.
    pub(crate) cni_version: Option<String>,
    /// `runtimeConfig`, which the delegate gets unchanged.
    pub(crate) runtime_config: Option<Object>,
    /// `args`, for a delegate that has none of its own.
    pub(crate) args: Option<Box<RawValue>>,
    /// `dns`, for a delegate that has none of its own.
    pub(crate) dns: Option<Box<RawValue>>,
}

impl Config {
    /// Reads the configuration of a call.
    ///
    /// # Errors
    /// Code 6 for a key of the wrong type, 7 for an invalid value.
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Error> {
        Self::parse(call.conf)
    }

    /// As [`Config::of`], without a call.
    pub(crate) fn parse(conf: &NetConf<'_>) -> Result<Self, Error> {
        let raw: RawConf = conf.decode()?;
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
        // Refuse a delegate type that is the type of this very call: the delegate would call
        // `flannel` again without end.
        if type_of(conf).as_ref() == Some(&delegate_type) {
            return Err(ConfigError::Recursion(delegate_type).into());
        }
        circle::refuse_invalid_ipam(&raw.ipam)?;
        Ok(Self {
            subnet_file: path_or(&raw.subnet_file, DEFAULT_SUBNET_FILE),
            subnet_file_wait,
            data_dir: path_or(&raw.data_dir, DEFAULT_DATA_DIR),
            delegate_type: delegate_type.parse().map_err(ConfigError::InvalidType)?,
            delegate: raw.delegate,
            ipam: raw.ipam,
            cni_version: raw.cni_version.into_option(),
            runtime_config: raw.runtime_config,
            args: raw.args,
            dns: raw.dns,
        })
    }

    /// Checks that the lease has room for a container. Only `host-local` allocates from the lease.
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

/// The `type` of the configuration of a call: the name by which the plugin was called. `None` if
/// the configuration has none.
pub(crate) fn own_type(call: &Call<'_>) -> Option<String> {
    type_of(call.conf)
}

fn type_of(conf: &NetConf<'_>) -> Option<String> {
    conf.value("type").ok()?
}

/// The keys that CHECK and DEL read; all other keys are ignored.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawReplay {
    data_dir: OptionalText,
    runtime_config: Option<Box<RawValue>>,
    prev_result: Option<Box<RawValue>>,
}

/// The input of CHECK and DEL, which call the delegate again with the configuration that ADD kept.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    /// The directory that keeps the configuration.
    pub(crate) data_dir: PathBuf,
    runtime_config: Option<Box<RawValue>>,
    prev_result: Option<Box<RawValue>>,
}

impl Replay {
    /// Reads the configuration of a call.
    ///
    /// # Errors
    /// Code 6 for a key of the wrong type.
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Error> {
        let raw: RawReplay = call.conf.decode()?;
        Ok(Self {
            data_dir: path_or(&raw.data_dir, DEFAULT_DATA_DIR),
            runtime_config: raw.runtime_config,
            prev_result: raw.prev_result,
        })
    }

    /// The result of ADD, if the runtime passes one that can be decoded.
    pub(crate) fn prev_result(&self, fallback: Version) -> Option<AddResult> {
        let text = self.prev_result.as_ref()?.get();
        AddResult::decode(text, fallback).ok()
    }

    /// Puts `runtimeConfig` and `prevResult` of this call into a delegate's configuration. A value
    /// that is no object is left out: no plugin can read it, and DEL must succeed. `prevResult`
    /// gets the version of the configuration, because plugins refuse any other, and is left out if
    /// that version cannot express it.
    ///
    /// # Errors
    /// [`DecodeError`] if a value cannot be written.
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

fn path_or(path: &OptionalText, default: &str) -> PathBuf {
    path.get().unwrap_or(default).into()
}
