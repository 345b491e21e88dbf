//! Requested MAC addresses, from a configuration or a runtime.

use cni_plugin::Call;
use cni_types::json::{OptionalText, unless_empty};
use cni_types::{Code, Error};
use netlink::{InvalidMac, Mac};
use serde::Deserialize;

/// A requested MAC address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MacError {
    /// It cannot be parsed.
    #[error("{key}: {source}")]
    Invalid {
        /// Where it was asked for.
        key: &'static str,
        /// What is wrong with it.
        source: InvalidMac,
    },
    /// It is a multicast address, or all zeros.
    #[error(
        "{key}: {mac} is no address of a single interface: the second hexadecimal digit must be \
            even, and the address not all zeros"
    )]
    OfNoInterface {
        /// Where it was asked for.
        key: &'static str,
        /// The address.
        mac: Mac,
    },
}

impl From<MacError> for Error {
    fn from(error: MacError) -> Self {
        Error::new(Code::INVALID_NETWORK_CONFIG, error)
    }
}

/// The keys, beside `CNI_ARGS`, in which a runtime requests a MAC address.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawConf {
    runtime_config: RawMac,
    args: RawArgs,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawArgs {
    cni: RawMac,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawMac {
    mac: OptionalText,
}

/// The MAC address that the runtime requests: `runtimeConfig.mac`, else `args.cni.mac`, else `MAC`
/// of `CNI_ARGS`. All that are present must be valid.
///
/// # Errors
/// Code 4 for `CNI_ARGS`, 6 for a value that is not a string, 7 for a string that is not the
/// address of a single interface.
pub fn requested_mac(call: &Call<'_>) -> Result<Option<Mac>, Error> {
    let args = call.args()?;
    let raw: RawConf = call.conf.decode()?;
    let in_args = args.get("MAC").and_then(unless_empty);
    let in_args = parse_mac("CNI_ARGS: MAC", in_args)
        .map_err(|error| Error::new(Code::INVALID_ENVIRONMENT, error))?;
    let in_cni = parse_mac("args.cni.mac", raw.args.cni.mac.get())?;
    let of_runtime = parse_mac("runtimeConfig.mac", raw.runtime_config.mac.get())?;
    Ok(of_runtime.or(in_cni).or(in_args))
}

/// Parses the MAC address under a key, if there is one.
///
/// # Errors
/// [`MacError`], which is code 7.
pub fn parse_mac(key: &'static str, text: Option<&str>) -> Result<Option<Mac>, MacError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let invalid = |source| MacError::Invalid { key, source };
    let mac: Mac = text.parse().map_err(invalid)?;
    let [first, ..] = mac.0;
    if first & 1 != 0 || mac.0 == [0; 6] {
        return Err(MacError::OfNoInterface { key, mac });
    }
    Ok(Some(mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_single_interface() {
        let parsed = parse_mac("mac", Some("02-00-00-AB-CD-EF")).unwrap();
        assert_eq!(parsed, Some(Mac([2, 0, 0, 0xab, 0xcd, 0xef])));
        assert_eq!(parse_mac("mac", None).unwrap(), None);
        for (text, problem) in [
            (
                "x",
                r#"mac: "x" is no Ethernet address: write it as 0a:58:0a:f4:01:02"#,
            ),
            (
                "01:00:5e:00:00:01",
                "mac: 01:00:5e:00:00:01 is no address of a single interface: the second \
                    hexadecimal digit must be even, and the address not all zeros",
            ),
            (
                "00:00:00:00:00:00",
                "mac: 00:00:00:00:00:00 is no address of a single interface: the second \
                    hexadecimal digit must be even, and the address not all zeros",
            ),
        ] {
            let error = parse_mac("mac", Some(text)).unwrap_err();
            assert_eq!(error.to_string(), problem);
        }
    }
}
