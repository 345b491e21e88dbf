//! The configuration: `raw` mirrors the JSON, a [`Config`] is valid.

mod raw;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use allocator::{
    DEFAULT_DATA_DIR, DEFAULT_LOCK_TIMEOUT, Location, Range, RangeSet, RangeSets, RangeSpec,
    Reclaim, Span, Spans, StoreKind, UnknownStoreKind,
};
use cni_plugin::{Call, Log};
use cni_types::json::{OptionalText, unless_empty};
use cni_types::{
    AddressError, Error, NetConf, Route, Section, Version, parse_cidr, parse_ip, parse_ip_or_cidr,
};

use self::raw::{RawConf, RawIpam, RawLocation, RawRange};
use crate::error::ConfigError;

const IPAM: &str = "ipam";

/// The location for ADD, CHECK and STATUS: `name`, and of `ipam` the keys `dataDir`, `backend` and
/// `lockTimeout`.
///
/// # Errors
/// Code 6 for a key of the wrong type, 7 for an invalid value.
fn location(conf: &NetConf<'_>, ipam: &Section<'_>) -> Result<Location, Error> {
    let raw: RawLocation = ipam.decode()?;
    Ok(Location {
        data_dir: data_dir(&raw.data_dir),
        network: conf.name.clone(),
        backend: backend(raw.backend.get())?,
        lock_timeout: lock_timeout(raw.lock_timeout)?,
    })
}

/// The location for DEL and GC. The containers are gone whatever the configuration says, so an
/// invalid `backend` or `lockTimeout` counts as the default, and other keys of `ipam` are not read.
///
/// # Errors
/// Code 6 if `ipam` is no object, or `dataDir` no text.
pub(crate) fn location_for_release(call: &Call<'_>) -> Result<Location, Error> {
    let ipam = call.conf.section(IPAM)?;
    let text: Option<OptionalText> = ipam.value("dataDir")?;
    let named = ipam.value::<OptionalText>("backend").and_then(|text| {
        let text = text.unwrap_or_default();
        Ok(backend(text.get())?)
    });
    let timeout = ipam.value("lockTimeout");
    let timeout = timeout.and_then(|seconds| Ok(lock_timeout(seconds)?));
    Ok(Location {
        data_dir: data_dir(&text.unwrap_or_default()),
        network: call.conf.name.clone(),
        backend: or_default(call.log, named, StoreKind::default()),
        lock_timeout: or_default(call.log, timeout, DEFAULT_LOCK_TIMEOUT),
    })
}

fn or_default<T>(log: &Log, value: Result<T, Error>, default: T) -> T {
    value.unwrap_or_else(|error| {
        log.error(format_args!("{}: going on with the default", error.msg));
        default
    })
}

fn data_dir(text: &OptionalText) -> PathBuf {
    text.get().unwrap_or(DEFAULT_DATA_DIR).into()
}

fn lock_timeout(seconds: Option<f64>) -> Result<Duration, ConfigError> {
    match seconds {
        None => Ok(DEFAULT_LOCK_TIMEOUT),
        Some(seconds) => {
            Duration::try_from_secs_f64(seconds).map_err(|_| ConfigError::LockTimeout(seconds))
        }
    }
}

/// The configuration of ADD, CHECK and STATUS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) location: Location,
    /// The range sets in the order of the result's addresses; never empty.
    pub(crate) range_sets: RangeSets,
    /// The configuration key of each range set.
    keys: Vec<String>,
    /// `ipam.routes`, for the result.
    pub(crate) routes: Vec<Route>,
    /// `ipam.resolvConf`: the file with the result's `dns`.
    pub(crate) resolv_conf: Option<PathBuf>,
    /// The requested addresses, from `CNI_ARGS`, `args.cni.ips` and `runtimeConfig.ips`.
    pub(crate) requested: Vec<IpAddr>,
    /// `ipam.reclaim`.
    pub(crate) reclaim: Reclaim,
}

impl Config {
    /// Reads the whole configuration, and `IP` in `CNI_ARGS`.
    ///
    /// # Errors
    /// Code 6 for a key of the wrong type, 7 for an invalid value, 4 for `CNI_ARGS`.
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Error> {
        let args = call.args()?;
        let section = call.conf.section(IPAM)?;
        let raw: RawConf = call.conf.decode()?;
        let ipam: RawIpam = section.decode()?;
        if !section.is_present() {
            return Err(ConfigError::Missing(IPAM).into());
        }
        let (keys, range_sets) = range_sets(&raw, &ipam)?;
        one_address_per_family(&range_sets, call.conf.version)?;
        Ok(Self {
            location: location(call.conf, &section)?,
            range_sets,
            keys,
            resolv_conf: ipam.resolv_conf.get().map(PathBuf::from),
            requested: requested(&raw, args.get("IP"))?,
            reclaim: reclaim(ipam.reclaim.get())?,
            routes: ipam.routes,
        })
    }

    /// Checks that each range set has an address that may be given.
    ///
    /// # Errors
    /// [`ConfigError::OnlyGateways`], [`ConfigError::AllExcluded`].
    pub(crate) fn check_givable(&self) -> Result<(), ConfigError> {
        let mut sets = self.range_sets.iter().zip(&self.keys).enumerate();
        match sets.find(|(_, (set, _))| set.size() == 0) {
            None => Ok(()),
            Some((index, (set, key))) if set.is_gateways_only() => Err(ConfigError::OnlyGateways {
                key: key.clone(),
                index,
                set: set.clone(),
            }),
            Some((_, (set, key))) => Err(ConfigError::AllExcluded {
                key: key.clone(),
                set: set.clone(),
            }),
        }
    }
}

/// Where a configuration has its addresses, and its range sets.
///
/// # Errors
/// Code 6 for a key of the wrong type, 7 for an invalid value.
pub fn ranges(conf: &NetConf<'_>) -> Result<(Location, RangeSets), Error> {
    let section = conf.section(IPAM)?;
    let location = location(conf, &section)?;
    let (_, sets) = range_sets(&conf.decode()?, &section.decode()?)?;
    Ok((location, sets))
}

/// All range sets and their keys: those of the runtime, then the one of the old style, then those
/// of `ranges`.
fn range_sets(raw: &RawConf, ipam: &RawIpam) -> Result<(Vec<String>, RangeSets), ConfigError> {
    let (mut keys, mut sets) = (Vec::new(), Vec::new());
    for (index, ranges) in raw.runtime_config.ip_ranges.iter().enumerate() {
        let key = format!("runtimeConfig.ipRanges[{index}]");
        sets.push(range_set(ranges, &key)?);
        keys.push(key);
    }
    let old_style = ipam.old_style();
    if old_style.subnet.get().is_some() {
        let range = range(&old_style, IPAM)?;
        let set = RangeSet::new(vec![range]).map_err(|source| ConfigError::RangeSet {
            key: IPAM.to_owned(),
            source,
        })?;
        sets.push(set);
        keys.push(IPAM.to_owned());
    }
    for (index, ranges) in ipam.ranges.iter().enumerate() {
        let key = format!("ipam.ranges[{index}]");
        sets.push(range_set(ranges, &key)?);
        keys.push(key);
    }
    if sets.is_empty() {
        return Err(ConfigError::NoRanges);
    }
    let excluded = excluded(ipam)?;
    let sets = sets.into_iter().map(|set| set.excluding(&excluded));
    let sets = RangeSets::new(sets.collect()).map_err(ConfigError::RangeSets)?;
    Ok((keys, sets))
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
    let address = |name: &str, text: &OptionalText| {
        text.get()
            .map(parse_ip)
            .transpose()
            .map_err(|source| invalid(&format!("{key}.{name}"), source))
    };
    let subnet = raw
        .subnet
        .get()
        .ok_or_else(|| ConfigError::NoSubnet(key.to_owned()))?;
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
fn excluded(ipam: &RawIpam) -> Result<Spans, ConfigError> {
    let span = |text: &str| match text.split_once('-') {
        Some((start, end)) => Span::new(parse_ip(start.trim()).ok()?, parse_ip(end.trim()).ok()?),
        None if text.contains('/') => parse_cidr(text).ok().map(Span::from),
        None => parse_ip(text).ok().map(Span::from),
    };
    let spans = ipam
        .exclude
        .iter()
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

fn backend(text: Option<&str>) -> Result<StoreKind, ConfigError> {
    let named = text.map(|text| {
        text.parse()
            .map_err(|_: UnknownStoreKind| ConfigError::Backend(text.to_owned()))
    });
    named.unwrap_or(Ok(StoreKind::default()))
}

fn reclaim(text: Option<&str>) -> Result<Reclaim, ConfigError> {
    match text {
        None | Some("reboot") => Ok(Reclaim::AfterReboot),
        Some("never") => Ok(Reclaim::Never),
        Some(other) => Err(ConfigError::Reclaim(other.to_owned())),
    }
}

fn invalid(key: &str, source: AddressError) -> ConfigError {
    ConfigError::Address {
        key: key.to_owned(),
        source,
    }
}

/// Results of versions before 0.3.0 have room for one address per family.
fn one_address_per_family(sets: &RangeSets, version: Version) -> Result<(), ConfigError> {
    let count = |is_ipv4| sets.iter().filter(|set| set.is_ipv4() == is_ipv4).count();
    if version < Version::V0_3_0 && (count(true) > 1 || count(false) > 1) {
        return Err(ConfigError::TooManySets(version));
    }
    Ok(())
}

fn requested(raw: &RawConf, in_args: Option<&str>) -> Result<Vec<IpAddr>, ConfigError> {
    let in_args = in_args
        .and_then(unless_empty)
        .map(|text| parse_ip_or_cidr(text).map_err(ConfigError::ArgsIp));
    let in_conf = [
        ("args.cni.ips", &raw.args.cni.ips),
        ("runtimeConfig.ips", &raw.runtime_config.ips),
    ];
    let in_conf = in_conf.into_iter().flat_map(|(key, texts)| {
        let texts = texts.iter().enumerate();
        let given = texts.filter_map(|(index, text)| Some((index, text.get()?)));
        given.map(move |(index, text)| {
            parse_ip_or_cidr(text).map_err(|source| invalid(&format!("{key}[{index}]"), source))
        })
    });
    in_args.into_iter().chain(in_conf).collect()
}

/// The addresses of `prevResult`, which CHECK compares with the store.
///
/// # Errors
/// Code 6 for a `prevResult` that cannot be decoded.
pub(crate) fn previous_addresses(call: &Call<'_>) -> Result<Vec<IpAddr>, Error> {
    let result = call.conf.prev_result()?.unwrap_or_default();
    Ok(result.ips.iter().map(|ip| ip.address.ip()).collect())
}

#[cfg(test)]
mod tests;
