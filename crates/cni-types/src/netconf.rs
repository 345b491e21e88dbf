use serde::Deserialize;

use crate::json::{self, DecodeError};
use crate::{Code, Error, NetworkName, Version};

/// A network configuration, as a runtime hands it to a plugin on standard input (CNI specification, "Section 3").
///
/// What every plugin needs of it is decoded and valid; the rest, each plugin decodes as it needs it.
#[derive(Clone, Debug)]
pub struct NetConf<'a> {
    /// `cniVersion`: the version that the answer must have.
    pub version: Version,
    /// `name`: the network.
    pub name: NetworkName,
    text: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    cni_version: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionHeader {
    cni_version: Option<String>,
}

impl<'a> NetConf<'a> {
    /// Decodes what every configuration has.
    ///
    /// Errors: code 6 for what is no JSON object in UTF-8, or has a `name` or `cniVersion` that is no string; 7 for a
    /// missing or invalid `name`; 1 for a `cniVersion` that is not supported.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let undecodable = |error: DecodeError| {
            Error::new(
                Code::DECODING_FAILURE,
                format!("cannot decode the network configuration on standard input: {error}"),
            )
        };
        let header: Header = json::from_slice(bytes).map_err(undecodable)?;
        let name = header.name.unwrap_or_default();
        let name = name.parse().map_err(|error| {
            Error::new(
                Code::INVALID_NETWORK_CONFIG,
                format!("name of the network configuration: {error}"),
            )
        })?;
        let version = header.cni_version.unwrap_or_default();
        let version = version.parse().map_err(|_| {
            let supported = Version::ALL.map(Version::as_str).join(", ");
            Error::new(Code::INCOMPATIBLE_VERSION, "incompatible CNI versions").with_details(format!(
                "cniVersion of the network configuration is {}, the plugin supports {supported}",
                crate::Quoted(&version)
            ))
        })?;
        Ok(Self {
            version,
            name,
            text: std::str::from_utf8(bytes)
                .map_err(|error| undecodable(DecodeError::at("", error)))?,
        })
    }

    /// The version to answer with when [`NetConf::parse`] fails: the configuration's own where it can be read.
    pub fn version_for_errors(bytes: &[u8]) -> Version {
        json::from_slice::<VersionHeader>(bytes)
            .ok()
            .and_then(|header| header.cni_version.unwrap_or_default().parse().ok())
            .unwrap_or(Version::LATEST)
    }

    /// Decodes the whole configuration into a plugin's own type, with the rules of [`json`].
    ///
    /// Errors: code 6, with the key that has the wrong shape.
    pub fn decode<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        json::from_str(self.text).map_err(|error| {
            Error::new(
                Code::DECODING_FAILURE,
                format!("cannot decode the network configuration: {error}"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> (u32, String) {
        let error = NetConf::parse(text.as_bytes()).unwrap_err();
        let details = if error.details.is_empty() {
            String::new()
        } else {
            format!(" ({})", error.details)
        };
        (error.code.0, error.msg + &details)
    }

    #[test]
    fn what_every_plugin_needs() {
        let conf = NetConf::parse(br#"{"CniVersion":"0.4.0","NAME":"a","x":1}"#).unwrap();
        assert_eq!((conf.version, conf.name.as_str()), (Version::V0_4_0, "a"));
        let old = NetConf::parse(br#"{"name":"a","cniVersion":""}"#).unwrap();
        assert_eq!(old.version, Version::V0_1_0);
    }

    #[test]
    fn what_is_refused() {
        let prefix = "cannot decode the network configuration on standard input: ";
        for (text, code, message) in [
            ("", 6, format!("{prefix}empty: a JSON object is expected")),
            ("[]", 6, format!("{prefix}an object is expected, not an array")),
            (r#"{"name":1}"#, 6, format!("{prefix}name: invalid type: integer `1`, expected a string")),
            ("{}", 7, "name of the network configuration: is empty".into()),
            (
                r#"{"name":"../a"}"#,
                7,
                r#"name of the network configuration: "../a" has invalid characters: allowed are letters and digits, then also "_", "." and "-""#.into(),
            ),
            (
                r#"{"name":"a","cniVersion":"9.9.9"}"#,
                1,
                r#"incompatible CNI versions (cniVersion of the network configuration is "9.9.9", the plugin supports 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0)"#.into(),
            ),
        ] {
            assert_eq!(failure(text), (code, message), "{text:?}");
        }
    }

    #[test]
    fn errors_answer_in_the_configurations_version_if_it_can_be_read() {
        for (text, version) in [
            (r#"{"cniVersion":"0.3.1"}"#, Version::V0_3_1),
            (r#"{"cniVersion":"0.4.0","name":1}"#, Version::V0_4_0),
            (r#"{}"#, Version::V0_1_0),
            (r#"{"cniVersion":"9"}"#, Version::LATEST),
            ("nonsense", Version::LATEST),
        ] {
            assert_eq!(NetConf::version_for_errors(text.as_bytes()), version);
        }
    }
}
