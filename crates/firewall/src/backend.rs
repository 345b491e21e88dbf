//! The backend that masquerades: the configuration key `ipMasqBackend`.

use std::fmt;
use std::str::FromStr;

use cni_types::{Code, Quoted};

/// The value of the configuration key `ipMasqBackend`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backend {
    /// The kernel's nftables, without programs ([`Nftables`](crate::Nftables)).
    #[default]
    Nftables,
    /// The programs `iptables` and `ip6tables` ([`Iptables`](crate::Iptables)).
    Iptables,
}

/// A string that is not the name of a [`Backend`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ipMasqBackend {} is unknown: use \"nftables\" or \"iptables\"", Quoted(.0))]
pub struct UnknownBackend(pub String);

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "nftables" => Ok(Self::Nftables),
            "iptables" => Ok(Self::Iptables),
            _ => Err(UnknownBackend(text.to_owned())),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
        })
    }
}

impl From<UnknownBackend> for cni_types::Error {
    fn from(error: UnknownBackend) -> Self {
        cni_types::Error::new(Code::INVALID_NETWORK_CONFIG, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_backend_has_one_name() {
        for backend in [Backend::Nftables, Backend::Iptables] {
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
        let error = "ebtables".parse::<Backend>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"ipMasqBackend "ebtables" is unknown: use "nftables" or "iptables""#
        );
    }
}
