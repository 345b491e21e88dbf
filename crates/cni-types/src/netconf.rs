//! The network configuration that a runtime writes to a plugin's standard input.

mod prev_result;

use serde::Deserialize;

use crate::json::{self, DecodeError, Entries, OptionalText};
use crate::{Code, Error, NetworkName, Quoted, Version};

/// A network configuration (CNI specification, "Section 3").
///
/// The keys that every plugin needs are decoded and valid. The document itself was scanned once and
/// is kept as [`Entries`]: each plugin decodes the values of its own keys from there.
#[derive(Clone, Debug)]
pub struct NetConf<'a> {
    /// `cniVersion`: the version of the reply.
    pub version: Version,
    /// `name`: the network.
    pub name: NetworkName,
    json: &'a str,
    entries: Entries<'a>,
}

/// Why standard input is no network configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedConf {
    /// What is wrong.
    pub error: Error,
    /// The version of the reply: that of the configuration if it can be read, else the latest.
    pub version: Version,
}

impl From<RefusedConf> for Error {
    fn from(refused: RefusedConf) -> Self {
        refused.error
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    cni_version: Option<String>,
    name: Option<String>,
}

impl<'a> NetConf<'a> {
    /// Splits the document, and decodes the keys that every configuration has.
    ///
    /// # Errors
    /// Code 6 for anything but a JSON object in UTF-8, and for a `name` or `cniVersion` that is no
    /// string; 7 for a missing or invalid `name`; 1 for a `cniVersion` that is not supported.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RefusedConf> {
        let split = json::to_text(bytes).and_then(|text| Ok((text, Entries::parse(text)?)));
        let (text, entries) = split.map_err(|error| RefusedConf {
            error: undecodable_input(error),
            version: Version::LATEST,
        })?;
        match header(&entries) {
            Ok((version, name)) => Ok(Self {
                version,
                name,
                json: json::without_space(text),
                entries,
            }),
            Err(error) => Err(RefusedConf {
                error,
                version: version_for_errors(&entries),
            }),
        }
    }

    /// The whole configuration as it was written, to pass it on.
    pub fn as_json(&self) -> &'a str {
        self.json
    }

    /// Whether there is a value other than `null` under a key.
    pub fn contains(&self, key: &str) -> bool {
        self.entries.contains(key)
    }

    /// Whether the key is present, even with the value `null`.
    pub fn has_key(&self, key: &str) -> bool {
        self.entries.has_key(key)
    }

    /// Decodes the keys of a plugin's own type, with the rules of [`json`].
    ///
    /// # Errors
    /// Code 6; the message names the key.
    pub fn decode<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        self.entries.decode().map_err(undecodable)
    }

    /// Decodes the value under one key; `None` if there is none.
    ///
    /// # Errors
    /// As [`NetConf::decode`].
    pub fn value<T: Deserialize<'a>>(&self, key: &str) -> Result<Option<T>, Error> {
        self.entries.value(key).map_err(undecodable)
    }

    /// Splits the object under a key, such as `ipam`. Without a value, the section is empty.
    ///
    /// # Errors
    /// Code 6 for a value that is no object.
    pub fn section(&self, key: &'static str) -> Result<Section<'a>, Error> {
        let entries = self.entries.section(key).map_err(undecodable)?;
        let is_present = entries.is_some();
        Ok(Section {
            key,
            is_present,
            entries: entries.unwrap_or_default(),
        })
    }
}

/// An object inside a configuration, split like the configuration itself.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    key: &'static str,
    is_present: bool,
    entries: Entries<'a>,
}

impl<'a> Section<'a> {
    /// Whether the configuration has the section.
    pub fn is_present(&self) -> bool {
        self.is_present
    }

    /// As [`NetConf::decode`].
    ///
    /// # Errors
    /// As [`NetConf::decode`].
    pub fn decode<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        self.entries.decode().map_err(|error| self.in_key(error))
    }

    /// As [`NetConf::value`].
    ///
    /// # Errors
    /// As [`NetConf::decode`].
    pub fn value<T: Deserialize<'a>>(&self, key: &str) -> Result<Option<T>, Error> {
        self.entries.value(key).map_err(|error| self.in_key(error))
    }

    fn in_key(&self, error: DecodeError) -> Error {
        undecodable(error.inside(self.key))
    }
}

fn header(entries: &Entries<'_>) -> Result<(Version, NetworkName), Error> {
    let header: Header = entries.decode().map_err(undecodable_input)?;
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
            Quoted(&version)
        ))
    })?;
    Ok((version, name))
}

fn version_for_errors(entries: &Entries<'_>) -> Version {
    match entries.value::<OptionalText>("cniVersion") {
        Ok(version) => version
            .unwrap_or_default()
            .get()
            .unwrap_or_default()
            .parse()
            .unwrap_or(Version::LATEST),
        Err(_) => Version::LATEST,
    }
}

fn undecodable_input(error: DecodeError) -> Error {
    Error::new(
        Code::DECODING_FAILURE,
        format!("cannot decode the network configuration on standard input: {error}"),
    )
}

fn undecodable(error: DecodeError) -> Error {
    Error::new(
        Code::DECODING_FAILURE,
        format!("cannot decode the network configuration: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> (u32, String) {
        let error = NetConf::parse(text.as_bytes()).unwrap_err().error;
        let details = if error.details.is_empty() {
            String::new()
        } else {
            format!(" ({})", error.details)
        };
        (error.code.0, error.msg + &details)
    }

    #[test]
    fn version_and_name_are_decoded() {
        let conf = NetConf::parse(br#"{"CniVersion":"0.4.0","NAME":"a","x":1}"#).unwrap();
        assert_eq!((conf.version, conf.name.as_str()), (Version::V0_4_0, "a"));
        let old = NetConf::parse(br#"{"name":"a","cniVersion":""}"#).unwrap();
        assert_eq!(old.version, Version::V0_1_0);
    }

    #[test]
    fn invalid_configurations_are_refused() {
        let prefix = "cannot decode the network configuration on standard input: ";
        for (text, code, message) in [
            ("", 6, format!("{prefix}empty: a JSON object is expected")),
            (
                "[]",
                6,
                format!("{prefix}an object is expected, not an array"),
            ),
            (
                r#"{"name":1}"#,
                6,
                format!("{prefix}name: invalid type: integer `1`, expected a string"),
            ),
            (
                "{}",
                7,
                "name of the network configuration: is empty".into(),
            ),
            (
                r#"{"name":"../a"}"#,
                7,
                concat!(
                    r#"name of the network configuration: "../a" has invalid characters: "#,
                    r#"allowed are letters and digits, then also "_", "." and "-""#
                )
                .into(),
            ),
            (
                r#"{"name":"a","cniVersion":"9.9.9"}"#,
                1,
                concat!(
                    "incompatible CNI versions (cniVersion of the network configuration is ",
                    r#""9.9.9", the plugin supports "#,
                    "0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0)"
                )
                .into(),
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
            (r#"{"cniVersion":9}"#, Version::LATEST),
            ("nonsense", Version::LATEST),
        ] {
            let refused = NetConf::parse(text.as_bytes()).unwrap_err();
            assert_eq!(refused.version, version, "{text}");
        }
    }

    #[test]
    fn keys_are_decoded_one_by_one_and_errors_name_them() {
        let text = r#" {"name":"a","Mtu":"x","ipam":{"TYPE":5,"dataDir":"/d"}} "#;
        let conf = NetConf::parse(text.as_bytes()).unwrap();
        let message = |error: Error| (error.code.0, error.msg);
        assert_eq!(
            conf.value::<u32>("mtu").map_err(message),
            Err((
                6,
                concat!(
                    "cannot decode the network configuration: ",
                    r#"mtu: invalid type: string "x", expected u32"#
                )
                .into()
            ))
        );
        let ipam = conf.section("ipam").unwrap();
        assert_eq!(ipam.value::<&str>("datadir"), Ok(Some("/d")));
        assert_eq!(
            ipam.value::<&str>("type").map_err(message),
            Err((
                6,
                concat!(
                    "cannot decode the network configuration: ",
                    "ipam.type: invalid type: integer `5`, expected a borrowed string"
                )
                .into()
            ))
        );
        assert!(!conf.section("args").unwrap().is_present());
        assert_eq!(conf.as_json(), text.trim());
    }
}
