//! The configuration: `raw` has the keys as they are written, [`Config`] is valid.

mod raw;

use std::net::IpAddr;

use cni_types::{Attachment, Error, NetConf, parse_ip};
use firewall::{Conditions, PortMap, PortMapping, Snat};
use ipnetwork::IpNetwork;

use self::raw::{RawConf, RawMapping, RawRuntimeConf};
use crate::error::ConfigError;

/// The bits of a packet's mark.
const MARK_BITS: i64 = 32;

/// The configuration of ADD, CHECK and STATUS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// `snat` and `masqAll`.
    pub(crate) snat: Snat,
    /// `conditionsV4`.
    pub(crate) conditions4: Option<Conditions>,
    /// `conditionsV6`.
    pub(crate) conditions6: Option<Conditions>,
    /// `runtimeConfig.portMappings`.
    pub(crate) mappings: Vec<PortMapping>,
}

impl Config {
    /// Reads the whole configuration but for `prevResult`.
    ///
    /// # Errors
    /// Code 6 for a key of the wrong type, 7 for a value that makes no sense, 2 for conditions or a
    /// backend that are not supported.
    pub(crate) fn of(conf: &NetConf<'_>) -> Result<Self, Error> {
        let raw: RawConf = conf.decode()?;
        let runtime: RawRuntimeConf = conf.section("runtimeConfig")?.decode()?;
        Ok(Self::valid(
            &raw,
            &runtime.port_mappings.unwrap_or_default(),
        )?)
    }

    fn valid(raw: &RawConf, mappings: &[RawMapping]) -> Result<Self, ConfigError> {
        if let Some(backend) = raw.backend.get().filter(|backend| *backend != "nftables") {
            return Err(ConfigError::Backend(backend.to_owned()));
        }
        if let Some(bit) = raw.mark_masq_bit {
            if !(0..MARK_BITS).contains(&bit) {
                return Err(ConfigError::MarkMasqBit(bit));
            }
            if raw.external_set_mark_chain.get().is_some() {
                return Err(ConfigError::TwoMarks);
            }
        }
        let conditions = |key, words: &Option<Vec<String>>, is_ipv6| {
            let words = words.as_deref().unwrap_or_default();
            let parsed = Conditions::parse(words, is_ipv6);
            parsed.map_err(|cause| ConfigError::Conditions { key, cause })
        };
        Ok(Self {
            snat: match (raw.snat, raw.masq_all) {
                (Some(false), _) => Snat::Off,
                (_, true) => Snat::All,
                (_, false) => Snat::WhereNeeded,
            },
            conditions4: conditions("conditionsV4", &raw.conditions_v4, false)?,
            conditions6: conditions("conditionsV6", &raw.conditions_v6, true)?,
            mappings: valid_mappings(mappings)?,
        })
    }

    /// The mappings to a container with these addresses.
    pub(crate) fn port_map<'a>(&'a self, addresses: &'a [IpNetwork]) -> PortMap<'a> {
        PortMap {
            addresses,
            mappings: &self.mappings,
            snat: self.snat,
            conditions4: self.conditions4,
            conditions6: self.conditions6,
        }
    }

    /// The container's addresses in `prevResult`: the first one of each family that the
    /// attachment's interface has, or that has no interface.
    ///
    /// # Errors
    /// Code 6 for a `prevResult` that cannot be decoded, 7 if there is none.
    pub(crate) fn addresses_in_prev_result(
        &self,
        conf: &NetConf<'_>,
        attachment: &Attachment,
    ) -> Result<Vec<IpNetwork>, Error> {
        let previous = conf.prev_result()?.ok_or(ConfigError::NoPrevResult)?;
        let is_own = |index: u32| {
            let interface = previous.interfaces.get(index as usize);
            interface.is_some_and(|interface| {
                interface.name == attachment.ifname.as_str() && interface.sandbox.is_some()
            })
        };
        let mut addresses: Vec<IpNetwork> = Vec::new();
        for ip in &previous.ips {
            let is_known = |address: &IpNetwork| address.is_ipv4() == ip.address.is_ipv4();
            if ip.interface.is_none_or(is_own) && !addresses.iter().any(is_known) {
                addresses.push(ip.address);
            }
        }
        Ok(addresses)
    }
}

fn valid_mappings(raw: &[RawMapping]) -> Result<Vec<PortMapping>, ConfigError> {
    let mut mappings: Vec<PortMapping> = Vec::with_capacity(raw.len());
    for (number, raw_mapping) in raw.iter().enumerate() {
        let named = || raw_mapping.in_words(number);
        let port = |key, value: Option<i64>| {
            let value = value.unwrap_or_default();
            let port = u16::try_from(value).ok().filter(|port| *port > 0);
            port.ok_or_else(|| ConfigError::Port {
                mapping: named(),
                key,
                value,
            })
        };
        let protocol = raw_mapping.protocol.get().unwrap_or("tcp");
        let host_ip = raw_mapping.host_ip.get();
        mappings.push(PortMapping {
            protocol: protocol.parse().map_err(|_| ConfigError::Protocol {
                mapping: named(),
                protocol: protocol.to_owned(),
            })?,
            host_ip: host_ip.map(valid_host_ip).transpose().map_err(|host_ip| {
                let mapping = named();
                ConfigError::HostIp { mapping, host_ip }
            })?,
            host_port: port("hostPort", raw_mapping.host_port)?,
            container_port: port("containerPort", raw_mapping.container_port)?,
        });
    }
    refuse_repetitions(raw, &mappings)?;
    Ok(mappings)
}

fn valid_host_ip(text: &str) -> Result<IpAddr, String> {
    let address = parse_ip(text).map_err(|_| text.to_owned())?;
    Ok(address.to_canonical())
}

/// Refuses two mappings of one port of the same addresses.
fn refuse_repetitions(raw: &[RawMapping], mappings: &[PortMapping]) -> Result<(), ConfigError> {
    let mut order: Vec<(usize, PortMapping)> = mappings.iter().copied().enumerate().collect();
    // All addresses of both families, or of one.
    let is_any = |mapping: &PortMapping| mapping.host_ip.is_none_or(|ip| ip.is_unspecified());
    let place = |mapping: &PortMapping| {
        let host_ip = mapping.host_ip.filter(|_| !is_any(mapping));
        (mapping.protocol, mapping.host_port, host_ip)
    };
    order.sort_by_key(|(number, mapping)| (place(mapping), *number));
    for group in order.chunk_by(|(_, first), (_, second)| place(first) == place(second)) {
        for ((number, first), rest) in group.iter().zip((1..).map_while(|it| group.get(it..))) {
            let meets = |other: &PortMapping| match (first.host_ip, other.host_ip) {
                (Some(first), Some(other)) => first.is_ipv4() == other.is_ipv4(),
                _ => true,
            };
            if let Some((other, _)) = rest.iter().find(|(_, other)| meets(other)) {
                let named = |number: usize| {
                    raw.get(number)
                        .map(|it| it.in_words(number))
                        .unwrap_or_default()
                };
                return Err(ConfigError::Twice {
                    mapping: named(*other),
                    other: named(*number),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
