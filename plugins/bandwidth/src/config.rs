//! The configuration: `raw` mirrors the JSON, a [`Config`] is valid.

mod raw;

use cni_plugin::Call;
use cni_types::{Error, parse_cidr};
use ipnetwork::IpNetwork;

use self::raw::RawConf;
use crate::error::ConfigError;

const RUNTIME_CONFIG: &str = "runtimeConfig";
const CAPABILITY: &str = "bandwidth";

/// The configuration of ADD and CHECK.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// `ingressRate` and `ingressBurst`: the limit for receiving.
    pub(crate) ingress: Option<Limit>,
    /// `egressRate` and `egressBurst`: the limit for sending.
    pub(crate) egress: Option<Limit>,
    /// `shapedSubnets` and `unshapedSubnets`.
    pub(crate) peers: Peers,
}

/// A rate and a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// In bytes per second, at least 1.
    pub(crate) rate: u64,
    /// In bytes.
    pub(crate) burst: u64,
}

/// The other ends of the traffic that is limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Peers {
    /// All addresses.
    #[default]
    All,
    /// The addresses of these networks: `shapedSubnets`.
    In(Vec<IpNetwork>),
    /// All addresses outside of these networks: `unshapedSubnets`.
    NotIn(Vec<IpNetwork>),
}

impl Config {
    /// The limits, of the configuration or, if it has none of the keys, of the capability
    /// `bandwidth`; empty if nothing is limited.
    ///
    /// # Errors
    /// Code 6 for a key of the wrong type, 7 for an invalid value.
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Error> {
        // As with the Go plugin, any key in the configuration overrides `runtimeConfig.bandwidth`.
        if RawConf::KEYS.iter().any(|key| call.conf.has_key(key)) {
            return Ok(Self::valid(&call.conf.decode()?, "")?);
        }
        let runtime_config = call.conf.section(RUNTIME_CONFIG)?;
        match runtime_config.value::<RawConf>(CAPABILITY)? {
            Some(raw) => Ok(Self::valid(&raw, "runtimeConfig.bandwidth.")?),
            None => Ok(Self::default()),
        }
    }

    /// Whether nothing is limited.
    pub(crate) fn is_empty(&self) -> bool {
        self.ingress.is_none() && self.egress.is_none()
    }

    fn valid(raw: &RawConf, prefix: &'static str) -> Result<Self, ConfigError> {
        let limit = |direction, rate, burst| limit(prefix, direction, rate, burst);
        let config = Self {
            ingress: limit("ingress", raw.ingress_rate, raw.ingress_burst)?,
            egress: limit("egress", raw.egress_rate, raw.egress_burst)?,
            peers: Peers::All,
        };
        if config.is_empty() {
            // As with the Go plugin, the subnets are not checked then.
            return Ok(config);
        }
        let peers = match (&*raw.shaped_subnets, &*raw.unshaped_subnets) {
            ([], []) => Peers::All,
            (shaped, []) => Peers::In(subnets(prefix, "shapedSubnets", shaped)?),
            ([], unshaped) => Peers::NotIn(subnets(prefix, "unshapedSubnets", unshaped)?),
            _ => return Err(ConfigError::BothSubnets { prefix }),
        };
        Ok(Self { peers, ..config })
    }
}

fn limit(
    prefix: &'static str,
    direction: &'static str,
    rate: u64,
    burst: u64,
) -> Result<Option<Limit>, ConfigError> {
    let half = |has, value, lacks| ConfigError::Half {
        prefix,
        direction,
        has,
        value,
        lacks,
    };
    match (rate, burst) {
        (0, 0) => Ok(None),
        (rate, 0) => Err(half("Rate", rate, "Burst")),
        (0, burst) => Err(half("Burst", burst, "Rate")),
        (rate, burst) => Ok(Some(Limit {
            rate: (rate / 8).max(1),
            burst: burst / 8,
        })),
    }
}

fn subnets(
    prefix: &'static str,
    key: &'static str,
    texts: &[String],
) -> Result<Vec<IpNetwork>, ConfigError> {
    let parse = |(position, text): (usize, &String)| {
        parse_cidr(text).map_err(|source| ConfigError::Subnet {
            key: format!("{prefix}{key}[{position}]"),
            source,
        })
    };
    texts.iter().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid(json: &str) -> Result<Config, String> {
        let raw = cni_types::json::from_str(json).unwrap();
        Config::valid(&raw, "").map_err(|error| error.to_string())
    }

    #[test]
    fn bits_become_bytes() {
        let json = r#"{"ingressRate":8000,"ingressBurst":16000,"egressRate":1,"egressBurst":7}"#;
        let config = valid(json).unwrap();
        let (rate, burst) = (1000, 2000);
        assert_eq!(config.ingress, Some(Limit { rate, burst }));
        assert_eq!(config.egress, Some(Limit { rate: 1, burst: 0 }));
        assert!(valid("{}").unwrap().is_empty());
        let zeros = r#"{"ingressRate":0,"ingressBurst":0,"shapedSubnets":["nonsense"]}"#;
        assert!(valid(zeros).unwrap().is_empty());
    }

    #[test]
    fn half_a_limit_is_none() {
        for (json, message) in [
            (
                r#"{"ingressRate":8}"#,
                "ingressRate is 8 without ingressBurst: give both, or neither",
            ),
            (
                r#"{"egressBurst":8,"egressRate":0}"#,
                "egressBurst is 8 without egressRate: give both, or neither",
            ),
        ] {
            assert_eq!(valid(json), Err(message.to_owned()));
        }
    }

    #[test]
    fn subnets_of_both_families() {
        let with = |keys: &str| valid(&format!(r#"{{"egressRate":8,"egressBurst":8,{keys}}}"#));
        let shaped = with(r#""shapedSubnets":["10.0.0.0/8","fd00::/8"],"unshapedSubnets":[]"#);
        let expected = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap());
        assert_eq!(shaped.unwrap().peers, Peers::In(expected.to_vec()));
        let unshaped = with(r#""unshapedSubnets":["10.0.0.0/8"]"#).unwrap();
        assert_eq!(unshaped.peers, Peers::NotIn(expected[..1].to_vec()));
        assert_eq!(
            with(r#""unshapedSubnets":["10.0.0.0/8"],"shapedSubnets":["::/0"]"#),
            Err(
                "shapedSubnets and unshapedSubnets exclude each other: leave one of them out"
                    .to_owned()
            )
        );
        assert_eq!(
            with(r#""shapedSubnets":["10.0.0.0/8","10.0.0.0"]"#),
            Err(
                "shapedSubnets[1] \"10.0.0.0\" is no network in CIDR notation, such as \
                 10.0.0.0/24 or fd00::/64"
                    .to_owned()
            )
        );
    }
}
