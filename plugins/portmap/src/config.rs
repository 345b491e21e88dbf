//! The configuration: `raw` mirrors the JSON, a [`Config`] is valid.

mod raw;

use std::net::IpAddr;

use cni_types::json::OptionalText;
use cni_types::{Attachment, Error, NetConf, parse_ip};
use firewall::{
    Conditions, FwMark, IptablesConditions, IptablesOptions, PortMap, PortMapping, Snat,
};
use ipnetwork::IpNetwork;

use self::raw::{RawConf, RawMapping, RawRuntimeConf};
use crate::error::ConfigError;

/// The number of bits of an fwmark.
const MARK_BITS: u8 = 32;

/// The default bit, as with the Go plugin.
const DEFAULT_BIT: u8 = 13;

/// The configuration of ADD, CHECK and STATUS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// `snat` and `masqAll`.
    pub(crate) snat: Snat,
    /// `backend`, with the keys whose meaning depends on it.
    pub(crate) backend: BackendOptions,
    /// `runtimeConfig.portMappings`.
    pub(crate) mappings: Vec<PortMapping>,
}

/// The backend that maps the ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BackendOptions {
    /// `conditionsV4` and `conditionsV6`.
    Nftables(Box<[Option<Conditions>; 2]>),
    /// These, `markMasqBit` and `externalSetMarkChain`.
    Iptables(IptablesOptions),
}

impl Config {
    /// Whether ports may be mapped by iptables, so that a DEL has to run its programs: the
    /// configuration has that backend, or ports that an earlier configuration or the Go plugin may
    /// have mapped, or no `prevResult`.
    pub(crate) fn may_be_by_iptables(conf: &NetConf<'_>) -> bool {
        let has_backend = match conf.value::<OptionalText>("backend") {
            Ok(backend) => backend.unwrap_or_default().get() == Some("iptables"),
            Err(_) => true,
        };
        let runtime = conf.section("runtimeConfig");
        let runtime = runtime.and_then(|section| section.decode::<RawRuntimeConf>());
        let has_ports = match runtime {
            Ok(runtime) => !runtime.port_mappings.unwrap_or_default().is_empty(),
            Err(_) => true,
        };
        has_backend || has_ports || !conf.contains("prevResult")
    }

    /// Reads the whole configuration except `prevResult`.
    ///
    /// # Errors
    /// Code 6 for a key of the wrong type, 7 for an invalid value, 2 for conditions that are not
    /// supported.
    pub(crate) fn of(conf: &NetConf<'_>) -> Result<Self, Error> {
        let raw: RawConf = conf.decode()?;
        let runtime: RawRuntimeConf = conf.section("runtimeConfig")?.decode()?;
        Ok(Self::valid(
            &raw,
            &runtime.port_mappings.unwrap_or_default(),
        )?)
    }

    fn valid(raw: &RawConf, mappings: &[RawMapping]) -> Result<Self, ConfigError> {
        Ok(Self {
            snat: match (raw.snat, raw.masq_all) {
                (Some(false), _) => Snat::Off,
                (_, true) => Snat::All,
                (_, false) => Snat::WhereNeeded,
            },
            backend: BackendOptions::valid(raw)?,
            mappings: valid_mappings(mappings)?,
        })
    }

    /// The mappings to a container with these addresses.
    pub(crate) fn port_map<'a>(&'a self, addresses: &'a [IpNetwork]) -> PortMap<'a> {
        let [conditions4, conditions6] = match &self.backend {
            BackendOptions::Nftables(conditions) => **conditions,
            BackendOptions::Iptables(_) => [None, None],
        };
        PortMap {
            addresses,
            mappings: &self.mappings,
            snat: self.snat,
            conditions4,
            conditions6,
        }
    }

    /// The container's addresses in `prevResult`: the first one of each family that the
    /// attachment's interface has, or that has no interface. As with the Go plugin, an index of
    /// no interface counts as none.
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
            interface.is_none_or(|interface| {
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

impl BackendOptions {
    fn valid(raw: &RawConf) -> Result<Self, ConfigError> {
        let mark = valid_mark(raw)?;
        let words = |words: &'_ Option<Vec<String>>| words.clone().unwrap_or_default();
        let (words4, words6) = (words(&raw.conditions_v4), words(&raw.conditions_v6));
        match raw.backend.get() {
            None | Some("nftables") => {
                let parse = |key, words: &[String], is_ipv6| {
                    let parsed = Conditions::parse(words, is_ipv6);
                    parsed.map_err(|cause| ConfigError::Conditions { key, cause })
                };
                Ok(Self::Nftables(Box::new([
                    parse("conditionsV4", &words4, false)?,
                    parse("conditionsV6", &words6, true)?,
                ])))
            }
            Some("iptables") => {
                let parse = |key, words: &[String], is_ipv6| {
                    let parsed = IptablesConditions::parse(words, is_ipv6);
                    parsed.map_err(|cause| ConfigError::IptablesConditions { key, cause })
                };
                Ok(Self::Iptables(IptablesOptions {
                    mark,
                    conditions4: parse("conditionsV4", &words4, false)?,
                    conditions6: parse("conditionsV6", &words6, true)?,
                }))
            }
            Some(other) => Err(ConfigError::Backend(other.to_owned())),
        }
    }
}

/// `markMasqBit`, by default the Go plugin's, or `externalSetMarkChain`.
fn valid_mark(raw: &RawConf) -> Result<FwMark, ConfigError> {
    let chain = raw.external_set_mark_chain.get();
    let bit = raw.mark_masq_bit.map(|bit| {
        let valid = u8::try_from(bit).ok().filter(|bit| *bit < MARK_BITS);
        valid.ok_or(ConfigError::MarkMasqBit(bit))
    });
    match (bit.transpose()?, chain) {
        (Some(_), Some(_)) => Err(ConfigError::TwoMarks),
        (bit, None) => Ok(FwMark::Bit(bit.unwrap_or(DEFAULT_BIT))),
        (None, Some(chain)) => {
            let is_own = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            // The kernel allows no longer names (`XT_EXTENSION_MAXNAMELEN`).
            if chain.len() > 28 || !chain.chars().all(is_own) || chain.starts_with('-') {
                return Err(ConfigError::MarkChain(chain.to_owned()));
            }
            Ok(FwMark::Chain(chain.to_owned()))
        }
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
