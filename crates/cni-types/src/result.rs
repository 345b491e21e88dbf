//! What ADD answers (CNI specification, "Section 5: ADD success").
//!
//! There is one type for all versions, in the shape of the newest; `wire` and `legacy` know what older versions look like.

mod legacy;
mod wire;

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::json::{self, DecodeError, Object};
use crate::{Code, Error, Version};

/// The result of an ADD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddResult {
    /// The interfaces that the plugin made, those on the host too. An IPAM plugin has none.
    pub interfaces: Vec<Interface>,
    /// The addresses.
    pub ips: Vec<IpConfig>,
    /// The routes inside the container.
    pub routes: Vec<Route>,
    /// The resolver's settings; versions before 1.0.0 have it even when it is empty.
    pub dns: Dns,
}

/// An interface that a plugin made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Its MTU in bytes (1.1.0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The network namespace it is in; none on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Where to reach it if it is a socket (1.1.0).
    #[serde(
        rename = "socketPath",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub socket_path: Option<String>,
    /// Its PCI address if it is a device (1.1.0).
    #[serde(rename = "pciID", default, skip_serializing_if = "Option::is_none")]
    pub pci_id: Option<String>,
}

/// An address and the prefix length of its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpConfig {
    /// Which of the result's interfaces has it, by index.
    pub interface: Option<u32>,
    /// The address, with its subnet's prefix length.
    pub address: IpNetwork,
    /// The subnet's gateway.
    pub gateway: Option<IpAddr>,
}

/// A route inside the container, also as `ipam.routes` of a configuration has it.
///
/// Everything but `dst` and `gw` came with 1.1.0, but is passed on from 0.3.0 on, as the Go plugins do it.
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

/// For these numbers 0 says what absence says.
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
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl AddResult {
    /// The result as JSON in the shape of a version.
    ///
    /// Errors: code 1 if the version cannot say it: 0.1.0 and 0.2.0 need at least one address.
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

    /// Reads a result in the shape of any supported version. One without a `cniVersion` has `fallback`'s, that of the
    /// configuration it answers.
    ///
    /// Errors: what the text or one of its keys should have been.
    pub fn decode(text: &str, fallback: Version) -> Result<Self, DecodeError> {
        if version_of(text, fallback)? < Version::V0_3_0 {
            legacy::decode(text)
        } else {
            wire::decode(text)
        }
    }

    /// Takes another plugin's result over as one's own, in the shape of `version`. What is in that shape already is
    /// passed on as it is; otherwise it is converted, and keys that no version knows are kept.
    ///
    /// Errors: what the text or one of its keys should have been; a result that the version cannot express.
    pub fn pass_on(text: &str, version: Version) -> Result<String, DecodeError> {
        let result = Self::decode(text, version)?;
        if version_of(text, version)? == version {
            let mut object: Object = json::from_str(text)?;
            object.set("cniVersion", &version)?;
            return serde_json::to_string(&object).map_err(|error| DecodeError::at("", error));
        }
        let converted = result
            .encode(version)
            .map_err(|error| DecodeError::at("", error.msg))?;
        let mut converted: Object = json::from_str(&converted)?;
        let original: Object = json::from_str(text)?;
        original.copy_unknown(wire::KEYS, &mut converted);
        converted.to_json()
    }
}

fn version_of(text: &str, fallback: Version) -> Result<Version, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Versioned {
        cni_version: Option<String>,
    }

    match json::from_str::<Versioned>(text)?.cni_version.as_deref() {
        None | Some("") => Ok(fallback),
        Some(version) => version
            .parse()
            .map_err(|error| DecodeError::at("cniVersion", error)),
    }
}

#[cfg(test)]
mod tests;
