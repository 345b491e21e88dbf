//! The keys of all plugins that create a container's interface.

use std::ops::RangeInclusive;

use cni_types::{Code, Dns, Error, NetConf, PluginType};
use serde::Deserialize;

use crate::ipam_type;

/// The MTUs that a link can have, in bytes: IPv4 needs 68 (RFC 791), and the drivers of veth,
/// ipvlan and macvlan allow 65535.
const MTUS: RangeInclusive<u32> = 68..=65535;

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawConf {
    mtu: i64,
    dns: Dns,
}

/// The values of these keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonConf {
    /// `mtu` in bytes; `None` for the plugin's default.
    pub mtu: Option<u32>,
    /// `ipam.type`; `None` for a network without addresses.
    pub ipam: Option<PluginType>,
    /// `dns`, for the result; an empty one leaves IPAM's.
    pub dns: Dns,
}

impl CommonConf {
    /// Reads the keys of a configuration.
    ///
    /// # Errors
    /// Code 6 for a key of the wrong type, 7 for an MTU that no link can have; those of
    /// [`ipam_type`].
    pub fn of(conf: &NetConf<'_>) -> Result<Self, Error> {
        let raw: RawConf = conf.decode()?;
        Ok(Self {
            mtu: mtu(raw.mtu)?,
            ipam: ipam_type(conf)?,
            dns: raw.dns,
        })
    }
}

fn mtu(number: i64) -> Result<Option<u32>, InvalidMtu> {
    if number == 0 {
        return Ok(None);
    }
    let mtu = u32::try_from(number).ok().filter(|mtu| MTUS.contains(mtu));
    mtu.map(Some).ok_or(InvalidMtu(number))
}

/// `mtu` is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "mtu {0} is no MTU: use {min} to {max}, or 0 for the default",
    min = MTUS.start(),
    max = MTUS.end()
)]
struct InvalidMtu(i64);

impl From<InvalidMtu> for Error {
    fn from(error: InvalidMtu) -> Self {
        Error::new(Code::INVALID_NETWORK_CONFIG, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mtus_of_links() {
        assert_eq!(mtu(0), Ok(None));
        for number in [68, 1500, 65535] {
            assert_eq!(mtu(i64::from(number)), Ok(Some(number)));
        }
        for number in [-1, 1, 67, 65536, i64::MAX] {
            assert_eq!(mtu(number), Err(InvalidMtu(number)));
        }
        assert_eq!(
            InvalidMtu(67).to_string(),
            "mtu 67 is no MTU: use 68 to 65535, or 0 for the default"
        );
    }

    #[test]
    fn keys_of_the_wrong_type_are_named() {
        let text = br#"{"name":"n","dns":{"search":["a","b"],"domain":""},"MTU":"x"}"#;
        let conf = NetConf::parse(text).unwrap();
        let error = CommonConf::of(&conf).unwrap_err();
        assert_eq!(
            (error.code.0, error.msg.as_str()),
            (
                6,
                concat!(
                    "cannot decode the network configuration: ",
                    r#"mtu: invalid type: string "x", expected i64"#
                )
            )
        );
    }
}
