//! The plugin's errors, and the code that each has for the runtime.

use cni_types::{Code, Error, Quoted};
use firewall::{UnsupportedConditions, UnsupportedIptablesConditions};

/// A configuration that is invalid, or not supported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(
        "prevResult of the network configuration is missing: portmap has to come after the plugin \
        that creates the container's interface"
    )]
    NoPrevResult,
    #[error("{mapping}: {key} {value} is no port: ports are from 1 to 65535")]
    Port {
        mapping: String,
        key: &'static str,
        value: i64,
    },
    #[error("{mapping}: protocol {} is unknown: use \"tcp\", \"udp\" or \"sctp\"", Quoted(.protocol))]
    Protocol { mapping: String, protocol: String },
    #[error("{mapping}: hostIP {} is no address", Quoted(.host_ip))]
    HostIp { mapping: String, host_ip: String },
    #[error("{mapping} has the same host port as {other}: leave one of them out")]
    Twice { mapping: String, other: String },
    #[error("backend {} is unknown: use \"nftables\" or \"iptables\"", Quoted(.0))]
    Backend(String),
    #[error("externalSetMarkChain {} is no name of a chain of iptables", Quoted(.0))]
    MarkChain(String),
    #[error("{key}: {cause}")]
    IptablesConditions {
        key: &'static str,
        cause: UnsupportedIptablesConditions,
    },
    #[error("markMasqBit {0} is no bit of a mark: bits are from 0 to 31")]
    MarkMasqBit(i64),
    #[error("markMasqBit and externalSetMarkChain exclude each other: leave one of them out")]
    TwoMarks,
    #[error("{key}: {cause}{}", hint(cause))]
    Conditions {
        key: &'static str,
        cause: UnsupportedConditions,
    },
}

/// Advice about conditions of iptables, which the Go plugin takes without `backend`.
fn hint(cause: &UnsupportedConditions) -> &'static str {
    if cause.words.starts_with(['-', '!']) {
        "; for conditions of iptables, set \"backend\" to \"iptables\""
    } else {
        ""
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        let code = match error {
            ConfigError::Conditions { .. } | ConfigError::IptablesConditions { .. } => {
                Code::UNSUPPORTED_FIELD
            }
            ConfigError::NoPrevResult
            | ConfigError::Port { .. }
            | ConfigError::Protocol { .. }
            | ConfigError::HostIp { .. }
            | ConfigError::Twice { .. }
            | ConfigError::Backend(_)
            | ConfigError::MarkChain(_)
            | ConfigError::MarkMasqBit(_)
            | ConfigError::TwoMarks => Code::INVALID_NETWORK_CONFIG,
        };
        Error::new(code, error)
    }
}
