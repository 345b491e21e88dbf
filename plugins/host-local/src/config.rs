//! The configuration: `raw` is what may be written, [`Config`] what is valid.

mod raw;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use allocator::{Range, RangeSet, RangeSets, RangeSpec, Reclaim, Span, Spans};
use cni_plugin::Call;
use cni_types::{
    AddResult, AddressError, Error, NetworkName, Route, Version, parse_cidr, parse_ip,
    parse_ip_or_cidr,
};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use self::raw::{RawConf, RawLenientLocation, RawLocation, RawLocationIpam, RawPrevious, RawRange};
use crate::error::ConfigError;

const DEFAULT_DATA_DIR: &str = "/var/lib/cni/networks";
const DEFAULT_LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// What keeps the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// A file an address, as the Go plugin has it.
    Disk,
    /// A database, one file for all networks.
    Db,
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Backend::Disk => "disk",
            Backend::Db => "db",
        })
    }
}

/// Where a network's addresses are noted. All that DEL needs: it works whatever has become of the ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) data_dir: PathBuf,
    pub(crate) network: NetworkName,
    /// `ipam.backend`.
    pub(crate) backend: Backend,
    /// `ipam.lockTimeout`, in seconds: how long others are waited for that work on the same network.
    pub(crate) lock_patience: Duration,
}

impl Location {
    /// Reads `name`, and of `ipam` the keys `dataDir`, `backend` and `lockTimeout`.
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Error> {
        let raw: RawLocation = call.conf.decode()?;
        let ipam = raw.ipam.unwrap_or_default();
        Ok(Self {
            data_dir: data_dir(ipam.data_dir),
            network: call.conf.name.clone(),
            lock_patience: lock_patience(ipam.lock_timeout)?,
            backend: backend(present(&ipam.backend))?,
        })
    }
}

impl Location {
    /// As [`Location::of`], for DEL and GC: the containers are gone whatever the configuration says, so a `backend` or a
    /// `lockTimeout` that makes no sense counts as the default.
    pub(crate) fn for_release(call: &Call<'_>) -> Result<Self, Error> {
        let error = match Self::of(call) {
            Ok(location) => return Ok(location),
            Err(error) => error,
        };
        let raw: RawLenientLocation = call.conf.decode()?;
        let ipam = raw.ipam.unwrap_or_default();
        let valid = RawLocationIpam {
            data_dir: ipam.data_dir,
            backend: json_or_none(ipam.backend.as_deref()),
            lock_timeout: json_or_none(ipam.lock_timeout.as_deref()),
        };
        call.log
            .error(format_args!("{}: going on with the default", error.msg));
        Ok(Self {
            data_dir: data_dir(valid.data_dir),
            network: call.conf.name.clone(),
            backend: backend(present(&valid.backend)).unwrap_or(Backend::Disk),
            lock_patience: lock_patience(valid.lock_timeout).unwrap_or(DEFAULT_LOCK_PATIENCE),
        })
    }
}

/// A value of the right type; `None` for any other.
fn json_or_none<T: DeserializeOwned>(raw: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

fn data_dir(text: Option<String>) -> PathBuf {
    text.filter(|text| !text.is_empty())
        .map_or(DEFAULT_DATA_DIR.into(), PathBuf::from)
}

fn lock_patience(seconds: Option<f64>) -> Result<Duration, ConfigError> {
    match seconds {
        None => Ok(DEFAULT_LOCK_PATIENCE),
        Some(seconds) => {
            Duration::try_from_secs_f64(seconds).map_err(|_| ConfigError::LockTimeout(seconds))
        }
    }
}

/// What ADD and CHECK need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) location: Location,
    /// In the order in which they give their addresses; never empty.
    pub(crate) range_sets: RangeSets,
    /// `ipam.routes`, for the result.
    pub(crate) routes: Vec<Route>,
    /// `ipam.resolvConf`: the file to take the result's `dns` from.
    pub(crate) resolv_conf: Option<PathBuf>,
    /// The addresses that are asked for, from `CNI_ARGS`, `args.cni.ips` and `runtimeConfig.ips`.
    pub(crate) requested: Vec<IpAddr>,
    /// `ipam.reclaim`.
    pub(crate) reclaim: Reclaim,
}

impl Config {
    /// Reads the whole configuration, and `IP` in `CNI_ARGS`.
    ///
    /// Errors: code 6 for a key of the wrong type, 7 for a value that makes no sense, 4 for `CNI_ARGS`.
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Error> {
        let args = call.args()?;
        let raw: RawConf = call.conf.decode()?;
        let ipam = raw.ipam.as_ref().ok_or(ConfigError::Missing("ipam"))?;
        let range_sets = range_sets(&raw)?;
        one_address_a_family(&range_sets, call.conf.version)?;
        Ok(Self {
            location: Location::of(call)?,
            range_sets,
            routes: ipam.routes.clone(),
            resolv_conf: ipam
                .resolv_conf
                .as_ref()
                .filter(|file| !file.is_empty())
                .map(PathBuf::from),
            requested: requested(&raw, args.get("IP"))?,
            reclaim: reclaim(present(&ipam.reclaim))?,
        })
    }

    /// Finds a range set that has no address to give but its gateway's, which is a mistake that matters to whoever wants
    /// one.
    pub(crate) fn check_givable(&self) -> Result<(), ConfigError> {
        let mut sets = self.range_sets.iter().enumerate();
        match sets.find(|(_, set)| set.size() == 0) {
            None => Ok(()),
            Some((index, set)) => Err(ConfigError::NothingToGive {
                index,
                set: set.clone(),
            }),
        }
    }
}

/// The range sets of all three places: the runtime's come first, then the old style's one, then `ranges`.
fn range_sets(raw: &RawConf) -> Result<RangeSets, ConfigError> {
    let mut sets = Vec::new();
    for (index, ranges) in raw.runtime_config.ip_ranges.iter().enumerate() {
        sets.push(range_set(
            ranges,
            &format!("runtimeConfig.ipRanges[{index}]"),
        )?);
    }
    if let Some(ipam) = &raw.ipam {
        let old_style = ipam.old_style();
        if present(&old_style.subnet).is_some() {
            let range = range(&old_style, "ipam")?;
            sets.push(
                RangeSet::new(vec![range]).map_err(|source| ConfigError::RangeSet {
                    key: "ipam".to_owned(),
                    source,
                })?,
            );
        }
        for (index, ranges) in ipam.ranges.iter().enumerate() {
            sets.push(range_set(ranges, &format!("ipam.ranges[{index}]"))?);
        }
    }
    if sets.is_empty() {
        return Err(ConfigError::NoRanges);
    }
    let excluded = excluded(raw)?;
    let excluding = |set: RangeSet| set.excluding(&excluded).map_err(ConfigError::Exclude);
    let sets = sets.into_iter().map(excluding).collect::<Result<_, _>>()?;
    RangeSets::new(sets).map_err(ConfigError::RangeSets)
}

fn range_set(raw: &[RawRange], key: &str) -> Result<RangeSet, ConfigError> {
    let ranges = raw
        .iter()
        .enumerate()
        .map(|(index, raw)| range(raw, &format!("{key}[{index}]")))
        .collect::<Result<_, _>>()?;
    RangeSet::new(ranges).map_err(|source| ConfigError::RangeSet {
        key: key.to_owned(),
        source,
    })
}

fn range(raw: &RawRange, key: &str) -> Result<Range, ConfigError> {
    let address = |name: &str, value: &Option<String>| {
        present(value)
            .map(parse_ip)
            .transpose()
            .map_err(|source| invalid(&format!("{key}.{name}"), source))
    };
    let subnet = present(&raw.subnet).ok_or_else(|| ConfigError::NoSubnet(key.to_owned()))?;
    let spec = RangeSpec {
        subnet: parse_cidr(subnet).map_err(|source| invalid(&format!("{key}.subnet"), source))?,
        start: address("rangeStart", &raw.range_start)?,
        end: address("rangeEnd", &raw.range_end)?,
        gateway: address("gateway", &raw.gateway)?,
    };
    Range::new(spec).map_err(|source| ConfigError::Range {
        key: key.to_owned(),
        source,
    })
}

/// The addresses of `ipam.exclude`: single ones, networks, and spans such as `10.0.0.5-10.0.0.9`.
fn excluded(raw: &RawConf) -> Result<Spans, ConfigError> {
    let texts = raw.ipam.iter().flat_map(|ipam| &ipam.exclude);
    let span = |text: &str| match text.split_once('-') {
        Some((start, end)) => Span::new(parse_ip(start.trim()).ok()?, parse_ip(end.trim()).ok()?),
        None if text.contains('/') => parse_cidr(text).ok().map(Span::from),
        None => parse_ip(text).ok().map(Span::from),
    };
    let spans = texts
        .enumerate()
        .map(|(index, text)| {
            span(text).ok_or_else(|| ConfigError::NoSpan {
                index,
                text: text.clone(),
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Spans::new(spans))
}

fn backend(text: Option<&str>) -> Result<Backend, ConfigError> {
    match text {
        None | Some("disk") => Ok(Backend::Disk),
        Some("db") => Ok(Backend::Db),
        Some(other) => Err(ConfigError::Backend(other.to_owned())),
    }
}

fn reclaim(text: Option<&str>) -> Result<Reclaim, ConfigError> {
    match text {
        None | Some("reboot") => Ok(Reclaim::AfterReboot),
        Some("never") => Ok(Reclaim::Never),
        Some(other) => Err(ConfigError::Reclaim(other.to_owned())),
    }
}

/// Runtimes write an empty text for what is not set.
fn present(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|text| !text.is_empty())
}

fn invalid(key: &str, source: AddressError) -> ConfigError {
    ConfigError::Address {
        key: key.to_owned(),
        source,
    }
}

/// Results before 0.3.0 have room for one address of each family.
fn one_address_a_family(sets: &RangeSets, version: Version) -> Result<(), ConfigError> {
    let count = |is_ipv4| sets.iter().filter(|set| set.is_ipv4() == is_ipv4).count();
    if version < Version::V0_3_0 && (count(true) > 1 || count(false) > 1) {
        return Err(ConfigError::TooManySets(version));
    }
    Ok(())
}

fn requested(raw: &RawConf, in_args: Option<&str>) -> Result<Vec<IpAddr>, ConfigError> {
    let in_args = in_args
        .filter(|text| !text.is_empty())
        .map(|text| parse_ip_or_cidr(text).map_err(ConfigError::ArgsIp));
    let in_conf = [
        ("args.cni.ips", &raw.args.cni.ips),
        ("runtimeConfig.ips", &raw.runtime_config.ips),
    ];
    let in_conf = in_conf.into_iter().flat_map(|(key, texts)| {
        let texts = texts.iter().enumerate();
        texts
            .filter(|(_, text)| !text.is_empty())
            .map(move |(index, text)| {
                parse_ip_or_cidr(text).map_err(|source| invalid(&format!("{key}[{index}]"), source))
            })
    });
    in_args.into_iter().chain(in_conf).collect()
}

/// The addresses of `prevResult`, the result of the ADD that CHECK looks into.
pub(crate) fn previous_addresses(call: &Call<'_>) -> Result<Vec<IpAddr>, Error> {
    let raw: RawPrevious = call.conf.decode()?;
    let Some(previous) = raw.prev_result else {
        return Ok(Vec::new());
    };
    let result = AddResult::decode(previous.get(), call.conf.version)
        .map_err(ConfigError::PreviousResult)?;
    Ok(result.ips.iter().map(|ip| ip.address.ip()).collect())
}

#[cfg(test)]
mod tests;
