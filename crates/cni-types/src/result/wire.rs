//! The shape of results from version 0.3.0 on.

use serde::{Deserialize, Serialize};

use super::{AddResult, Dns, Interface, IpConfig, Route};
use crate::Version;
use crate::json::{DecodeError, Entries};

/// The top-level keys of the results of all versions.
pub(super) const KEYS: &[&str] = &[
    "cniVersion",
    "interfaces",
    "ips",
    "routes",
    "dns",
    "ip4",
    "ip6",
];

#[derive(Serialize)]
struct Encoded<'a> {
    #[serde(rename = "cniVersion")]
    version: Version,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    interfaces: Vec<Interface>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ips: Vec<WireIp>,
    #[serde(skip_serializing_if = "<[Route]>::is_empty")]
    routes: &'a [Route],
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<&'a Dns>,
}

#[derive(Serialize, Deserialize)]
struct WireIp {
    /// `4` or `6`, in versions before 1.0.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(
        default,
        deserialize_with = "position",
        skip_serializing_if = "Option::is_none"
    )]
    interface: Option<u32>,
    #[serde(with = "cidr")]
    address: ipnetwork::IpNetwork,
    #[serde(default, with = "optional_ip", skip_serializing_if = "Option::is_none")]
    gateway: Option<std::net::IpAddr>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Decoded {
    interfaces: Vec<Interface>,
    ips: Vec<WireIp>,
    routes: Vec<Route>,
    dns: Dns,
}

pub(super) fn encode(result: &AddResult, version: Version) -> serde_json::Result<String> {
    let before_1_0 = version < Version::V1_0_0;
    let interface = |interface: &Interface| {
        if before_1_0 {
            Interface {
                mtu: None,
                socket_path: None,
                pci_id: None,
                ..interface.clone()
            }
        } else {
            interface.clone()
        }
    };
    let ip = |ip: &IpConfig| WireIp {
        version: before_1_0.then(|| if ip.address.is_ipv4() { "4" } else { "6" }.to_owned()),
        interface: ip.interface,
        address: ip.address,
        gateway: ip.gateway,
    };
    serde_json::to_string(&Encoded {
        version,
        interfaces: result.interfaces.iter().map(interface).collect(),
        ips: result.ips.iter().map(ip).collect(),
        routes: &result.routes,
        dns: (before_1_0 || !result.dns.is_empty()).then_some(&result.dns),
    })
}

pub(super) fn decode(entries: &Entries<'_>) -> Result<AddResult, DecodeError> {
    let decoded: Decoded = entries.decode()?;
    let ip = |ip: WireIp| IpConfig {
        interface: ip.interface,
        address: ip.address,
        gateway: ip.gateway,
    };
    Ok(AddResult {
        interfaces: decoded.interfaces,
        ips: decoded.ips.into_iter().map(ip).collect(),
        routes: decoded.routes,
        dns: decoded.dns,
    })
}

/// The index of an interface. To the Go plugins, a negative one means that there is none.
fn position<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let index = Option::<i64>::deserialize(deserializer)?;
    Ok(index.and_then(|index| u32::try_from(index).ok()))
}

/// A network as the text `10.0.0.0/24`.
pub(super) mod cidr {
    use ipnetwork::IpNetwork;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        network: &IpNetwork,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(network)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<IpNetwork, D::Error> {
        crate::parse_cidr(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// An address as text; an absent key, `null` and an empty text all mean that there is none.
pub(super) mod optional_ip {
    use std::net::IpAddr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::json::OptionalText;

    pub(crate) fn serialize<S: Serializer>(
        address: &Option<IpAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        address.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<IpAddr>, D::Error> {
        let text = Option::<OptionalText>::deserialize(deserializer)?.unwrap_or_default();
        text.get()
            .map(crate::parse_ip)
            .transpose()
            .map_err(D::Error::custom)
    }
}
