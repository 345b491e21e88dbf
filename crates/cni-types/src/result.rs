//! The result of an ADD (CNI specification, "Section 5: ADD success").
//!
//! There is one type for all versions, in the shape of the newest; `wire` and `legacy` know the
//! JSON of each version.

mod legacy;
mod wire;

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::json::{self, DecodeError, Entries, OptionalText};
use crate::{Code, Error, Version};

/// The result of an ADD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddResult {
    /// The interfaces that the plugin created, those on the node too. An IPAM plugin has none.
    pub interfaces: Vec<Interface>,
    /// The addresses.
    pub ips: Vec<IpConfig>,
    /// The routes inside the container.
    pub routes: Vec<Route>,
    /// The resolver's settings; versions before 1.0.0 have the key even when it is empty.
    pub dns: Dns,
}

/// An interface that a plugin created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The interface's name; empty if a result lacks it.
    #[serde(default)]
    pub name: String,
    /// The hardware address.
    #[serde(
        default,
        deserialize_with = "json::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub mac: Option<String>,
    /// The MTU in bytes (1.1.0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The path of the interface's network namespace; none for an interface on the node.
    #[serde(
        default,
        deserialize_with = "json::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub sandbox: Option<String>,
    /// The path of the socket that the interface is (1.1.0).
    #[serde(
        rename = "socketPath",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub socket_path: Option<String>,
    /// The PCI address of the device that the interface is (1.1.0).
    #[serde(rename = "pciID", default, skip_serializing_if = "Option::is_none")]
    pub pci_id: Option<String>,
}

/// An address and the prefix length of its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpConfig {
    /// The index of the result's interface that has the address.
    pub interface: Option<u32>,
    /// The address, with its subnet's prefix length.
    pub address: IpNetwork,
    /// The subnet's gateway.
    pub gateway: Option<IpAddr>,
}

/// A route inside the container, in a result or in `ipam.routes` of a configuration.
///
/// Everything but `dst` and `gw` came with 1.1.0, but is passed on from 0.3.0 on, as the Go plugins
/// do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The destination; host bits are kept.
    #[serde(with = "wire::cidr")]
    pub dst: IpNetwork,
    /// The next hop; without one, the address's gateway.
    #[serde(
        default,
        with = "wire::optional_ip",
        skip_serializing_if = "Option::is_none"
    )]
    pub gw: Option<IpAddr>,
    /// The MTU along the route in bytes.
    #[serde(default, skip_serializing_if = "is_unset")]
    pub mtu: Option<u32>,
    /// The largest TCP segment along the route in bytes.
    #[serde(default, skip_serializing_if = "is_unset")]
    pub advmss: Option<u32>,
    /// The route's metric; lower wins.
    #[serde(default, skip_serializing_if = "is_unset")]
    pub priority: Option<u32>,
    /// The routing table; the main one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// The route's scope, as a number: 0 global, 253 link, 254 host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<u32>,
}

impl Route {
    /// A route with a destination, through the address's gateway.
    pub fn to(dst: IpNetwork) -> Self {
        Self {
            dst,
            gw: None,
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
        }
    }
}

/// For these numbers 0 means the same as absence.
fn is_unset(number: &Option<u32>) -> bool {
    matches!(number, None | Some(0))
}

/// The settings of a resolver (resolv.conf(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Addresses of name servers, in order of preference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// The local domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Domains to search short names in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Options of the resolver.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Dns {
    /// Whether there are no settings.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These settings, or the others if there are none.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        if self.is_empty() { others } else { self }
    }
}

impl AddResult {
    /// The addresses, each with the prefix of its network.
    pub fn addresses(&self) -> impl Iterator<Item = IpNetwork> {
        self.ips.iter().map(|ip| ip.address)
    }

    /// The result as JSON in the shape of a version.
    ///
    /// # Errors
    /// Code 1 if the version cannot express it: 0.1.0 and 0.2.0 need at least one address.
    pub fn encode(&self, version: Version) -> Result<String, Error> {
        let encoded = if version < Version::V0_3_0 {
            legacy::encode(self, version)?
        } else {
            wire::encode(self, version)
        };
        encoded.map_err(|error| {
            Error::new(
                Code::DECODING_FAILURE,
                format!("cannot encode the result: {error}"),
            )
        })
    }

    /// Decodes a result in the shape of any supported version. A result without a `cniVersion` has
    /// `fallback`'s, which is that of the configuration that the result answers.
    ///
    /// # Errors
    /// [`DecodeError`] with what the text or one of its keys should have been.
    pub fn decode(text: &str, fallback: Version) -> Result<Self, DecodeError> {
        Self::of_entries(&Entries::parse(text)?, fallback)
    }

    /// As [`AddResult::decode`], but reduced to what `version` can express.
    ///
    /// # Errors
    /// As [`AddResult::pass_on`].
    pub fn decode_as(text: &str, version: Version) -> Result<Self, DecodeError> {
        let entries = Entries::parse(text)?;
        let given = version_of(&entries, version)?;
        let result = Self::of_version(&entries, given)?;
        if given == version {
            return Ok(result);
        }
        Self::decode(&result.encode_converted(version)?, version)
    }

    /// Takes over the result of another plugin, in the shape of `version`. The values of a result
    /// in that shape are passed on as they are; any other result is converted, and keys that no
    /// version knows are kept.
    ///
    /// # Errors
    /// [`DecodeError`] with what the text or one of its keys should have been, or for a result that
    /// the version cannot express.
    pub fn pass_on(text: &str, version: Version) -> Result<String, DecodeError> {
        Self::pass_on_entries(&Entries::parse(text)?, version)
    }

    pub(crate) fn pass_on_entries(
        entries: &Entries<'_>,
        version: Version,
    ) -> Result<String, DecodeError> {
        let given = version_of(entries, version)?;
        let result = Self::of_version(entries, given)?;
        let mut original = entries.to_object()?;
        if given == version {
            original.set(VERSION_KEY, &version)?;
            return original.to_json();
        }
        let converted = result.encode_converted(version)?;
        let mut converted = Entries::parse(&converted)?.to_object()?;
        original.copy_unknown(wire::KEYS, &mut converted);
        converted.to_json()
    }

    /// As [`AddResult::decode`], of a document that was split already.
    pub(crate) fn of_entries(
        entries: &Entries<'_>,
        fallback: Version,
    ) -> Result<Self, DecodeError> {
        Self::of_version(entries, version_of(entries, fallback)?)
    }

    fn of_version(entries: &Entries<'_>, version: Version) -> Result<Self, DecodeError> {
        if version < Version::V0_3_0 {
            legacy::decode(entries)
        } else {
            wire::decode(entries)
        }
    }

    fn encode_converted(&self, version: Version) -> Result<String, DecodeError> {
        self.encode(version)
            .map_err(|error| DecodeError::at("", error.msg))
    }
}

const VERSION_KEY: &str = "cniVersion";

fn version_of(entries: &Entries<'_>, fallback: Version) -> Result<Version, DecodeError> {
    let version: OptionalText = entries.value(VERSION_KEY)?.unwrap_or_default();
    match version.get() {
        None => Ok(fallback),
        Some(version) => version
            .parse()
            .map_err(|error| DecodeError::at(VERSION_KEY, error)),
    }
}

#[cfg(test)]
mod tests;
