//! The shape of results in versions 0.1.0 and 0.2.0: one address per family, each with its own
//! routes.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use super::{AddResult, Dns, IpConfig, Route, wire};
use crate::json::{DecodeError, Entries};
use crate::{Code, Error, Version};

#[derive(Serialize)]
struct Encoded<'a> {
    #[serde(rename = "cniVersion")]
    version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip4: Option<FamilyConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip6: Option<FamilyConfig>,
    dns: &'a Dns,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Decoded {
    ip4: Option<FamilyConfig>,
    ip6: Option<FamilyConfig>,
    dns: Dns,
}

#[derive(Serialize, Deserialize)]
struct FamilyConfig {
    #[serde(with = "wire::cidr")]
    ip: IpNetwork,
    #[serde(
        default,
        with = "wire::optional_ip",
        skip_serializing_if = "Option::is_none"
    )]
    gateway: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    routes: Vec<Route>,
}

pub(super) fn encode(
    result: &AddResult,
    version: Version,
) -> Result<serde_json::Result<String>, Error> {
    let family = |is_ipv4: bool| {
        let ip = result
            .ips
            .iter()
            .find(|ip| ip.address.is_ipv4() == is_ipv4)?;
        let routes = result
            .routes
            .iter()
            .filter(|route| route.dst.is_ipv4() == is_ipv4);
        Some(FamilyConfig {
            ip: ip.address,
            gateway: ip.gateway,
            routes: routes
                .map(|route| Route {
                    gw: route.gw,
                    ..Route::to(route.dst)
                })
                .collect(),
        })
    };
    let (ip4, ip6) = (family(true), family(false));
    if ip4.is_none() && ip6.is_none() {
        return Err(Error::new(
            Code::INCOMPATIBLE_VERSION,
            format!("a result without addresses cannot be expressed in cniVersion {version}"),
        ));
    }
    Ok(serde_json::to_string(&Encoded {
        version,
        ip4,
        ip6,
        dns: &result.dns,
    }))
}

pub(super) fn decode(entries: &Entries<'_>) -> Result<AddResult, DecodeError> {
    let decoded: Decoded = entries.decode()?;
    let mut result = AddResult {
        dns: decoded.dns,
        ..AddResult::default()
    };
    for family in [decoded.ip4, decoded.ip6].into_iter().flatten() {
        result.ips.push(IpConfig {
            interface: None,
            address: family.ip,
            gateway: family.gateway,
        });
        result.routes.extend(family.routes);
    }
    Ok(result)
}
