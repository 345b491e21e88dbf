//! The lease that flanneld got for this node, as it writes it to subnet.env.
//!
//! ```text
//! FLANNEL_NETWORK=10.244.0.0/16          the network of all nodes; a list has commas
//! FLANNEL_SUBNET=10.244.1.1/24           this node's part of it, as its bridge's address
//! FLANNEL_IPV6_NETWORK=fd00:244::/56     the same for IPv6
//! FLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64
//! FLANNEL_MTU=1450                       bytes
//! FLANNEL_IPMASQ=true                    whether flanneld itself masquerades
//! ```

mod wait;

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use cni_types::json::Object;
use cni_types::{AddResult, AddressError, Quoted, parse_cidr};
use ipnetwork::IpNetwork;
use nix::fcntl::OFlag;
use serde::Deserialize;

pub(crate) use wait::read_or_wait;

/// More than flanneld's file has, in bytes.
const USUAL_FILE: usize = 512;

/// The most that is read of the file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// A node's lease. It has at least one network and one subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// The networks of all nodes, IPv4 before IPv6, each once.
    pub(crate) networks: Vec<IpNetwork>,
    /// This node's subnets, IPv4 before IPv6.
    pub(crate) subnets: Vec<IpNetwork>,
    /// The MTU that containers can use, in bytes.
    pub(crate) mtu: u32,
    /// Whether flanneld masquerades what leaves the network, so that the delegate must not.
    pub(crate) ip_masq: bool,
}

/// The part of a delegate's configuration that its lease can be told from.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Ipam {
    ranges: Vec<Vec<Range>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Range {
    subnet: String,
}

impl Lease {
    /// As much of a lease as deleting takes: the subnets that a result's addresses are of. `None` if it has no address.
    pub(crate) fn of_result(result: &AddResult) -> Option<Self> {
        Self::of_subnets(result.ips.iter().map(|ip| ip.address).collect())
    }

    /// As much of a lease as deleting takes, from a configuration that was rendered from it. `None` if that has no subnet.
    pub(crate) fn of_delegate_conf(conf: &Object) -> Option<Self> {
        let ipam: Ipam = conf.decode("ipam").ok()??;
        let ranges = ipam.ranges.iter().flatten();
        Self::of_subnets(
            ranges
                .filter_map(|range| parse_cidr(&range.subnet).ok())
                .collect(),
        )
    }

    fn of_subnets(subnets: Vec<IpNetwork>) -> Option<Self> {
        (!subnets.is_empty()).then(|| Self {
            networks: Vec::new(),
            subnets: subnets.into_iter().map(network_of).collect(),
            mtu: 0,
            // If the delegate has masqueraded for it, that has to go too.
            ip_masq: false,
        })
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |networks: &[IpNetwork]| {
            let texts: Vec<String> = networks.iter().map(IpNetwork::to_string).collect();
            texts.join(", ")
        };
        let (subnets, networks) = (list(&self.subnets), list(&self.networks));
        write!(f, "{subnets} of {networks}, MTU {}", self.mtu)
    }
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub(crate) struct LeaseError {
    /// The subnet.env that was read.
    pub(crate) file: PathBuf,
    /// What is the matter with it.
    pub(crate) problem: Problem,
    /// Whether its last line has no end, as when somebody is just writing it.
    is_cut_off: bool,
}

impl LeaseError {
    /// Whether all may be well as soon as flanneld has written the file.
    fn may_pass(&self) -> bool {
        self.is_cut_off || matches!(self.problem, Problem::Absent | Problem::Partial(_))
    }
}

/// What is the matter with a subnet.env.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("there is no such file: flanneld has no lease for this node yet")]
    Absent,
    #[error("{} missing: flanneld has not written all of the lease", .0.join(", "))]
    Partial(Vec<&'static str>),
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("is no text: byte {0} is not UTF-8")]
    NotText(usize),
    #[error("line {line}: {} is no assignment of the form KEY=value", Quoted(word))]
    NoAssignment { line: usize, word: String },
    #[error("line {0}: a quote is not closed, or a backslash ends the line")]
    OpenQuote(usize),
    #[error("{key}: {source}")]
    Network {
        key: &'static str,
        source: AddressError,
    },
    #[error("{key}: {network} is not {expected}")]
    Family {
        key: &'static str,
        network: IpNetwork,
        expected: &'static str,
    },
    #[error("FLANNEL_MTU: {} is no number of bytes", Quoted(.0))]
    Mtu(String),
    #[error("FLANNEL_IPMASQ: {} is neither true nor false", Quoted(.0))]
    IpMasq(String),
}

/// Reads the lease from a file.
pub(crate) fn read(file: &Path) -> Result<Lease, LeaseError> {
    let failed = |problem, is_cut_off| LeaseError {
        file: file.to_owned(),
        problem,
        is_cut_off,
    };
    match read_file(file) {
        Ok(contents) => {
            parse(&contents).map_err(|problem| failed(problem, contents.last() != Some(&b'\n')))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(failed(Problem::Absent, false))
        }
        Err(error) => Err(failed(Problem::Unreadable(error), false)),
    }
}

fn read_file(file: &Path) -> io::Result<Vec<u8>> {
    // With room for all of it one read suffices, and another one to see the end.
    let mut contents = Vec::with_capacity(USUAL_FILE);
    // Opening a pipe that somebody put there must not wait for its other end.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(file)?;
    file.take(MAX_FILE + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > MAX_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(contents)
}

/// Reads the lease from a file's contents, which are taken as a shell takes them: with comments, `export`, quotes and the
/// last assignment to a key.
fn parse(contents: &[u8]) -> Result<Lease, Problem> {
    let text =
        std::str::from_utf8(contents).map_err(|error| Problem::NotText(error.valid_up_to()))?;
    let assignments = assignments(text)?;
    // To a shell, what is empty is as good as unset.
    let value = |key: &str| {
        let assigned = assignments.iter().rev().find(|(name, _)| name == key);
        assigned
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    };
    let networks = |key: &'static str, is_ipv4: bool| {
        let list = value(key).map(|list| list.split(',').collect());
        let list: Vec<&str> = list.unwrap_or_default();
        list.into_iter()
            .map(|text| network(key, text.trim(), is_ipv4))
            .collect::<Result<Vec<_>, _>>()
    };
    let subnet = |key: &'static str, is_ipv4: bool| {
        value(key)
            .map(|text| network(key, text, is_ipv4))
            .transpose()
    };

    let mut all_networks = Vec::new();
    for network in [
        networks("FLANNEL_NETWORK", true)?,
        networks("FLANNEL_IPV6_NETWORK", false)?,
    ]
    .concat()
    {
        if !all_networks.contains(&network) {
            all_networks.push(network);
        }
    }
    let subnets: Vec<IpNetwork> = [
        subnet("FLANNEL_SUBNET", true)?,
        subnet("FLANNEL_IPV6_SUBNET", false)?,
    ]
    .into_iter()
    .flatten()
    .collect();
    let mtu = value("FLANNEL_MTU").map(mtu).transpose()?;
    let ip_masq = value("FLANNEL_IPMASQ").map(ip_masq).transpose()?;

    let mut missing = Vec::new();
    if all_networks.is_empty() {
        missing.extend(["FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK"]);
    }
    if subnets.is_empty() {
        missing.extend(["FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"]);
    }
    if mtu.is_none() {
        missing.push("FLANNEL_MTU");
    }
    if ip_masq.is_none() {
        missing.push("FLANNEL_IPMASQ");
    }
    match (mtu, ip_masq) {
        (Some(mtu), Some(ip_masq)) if missing.is_empty() => Ok(Lease {
            networks: all_networks,
            subnets,
            mtu,
            ip_masq,
        }),
        _ => Err(Problem::Partial(missing)),
    }
}

fn assignments(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut assignments = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        let mut words = shlex::Shlex::new(text);
        for word in &mut words {
            match word.split_once('=') {
                Some((key, value)) if is_name(key) => {
                    assignments.push((key.to_owned(), value.to_owned()));
                }
                _ if word == "export" => {}
                _ => return Err(Problem::NoAssignment { line, word }),
            }
        }
        if words.had_error {
            return Err(Problem::OpenQuote(line));
        }
    }
    Ok(assignments)
}

/// Whether a shell takes this for the name of a variable.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The network that an address with its mask belongs to.
fn network(key: &'static str, text: &str, is_ipv4: bool) -> Result<IpNetwork, Problem> {
    let address = parse_cidr(text).map_err(|source| Problem::Network { key, source })?;
    let network = network_of(address);
    if matches!(network.ip(), IpAddr::V4(_)) == is_ipv4 {
        Ok(network)
    } else {
        let expected = if is_ipv4 { "IPv4" } else { "IPv6" };
        Err(Problem::Family {
            key,
            network,
            expected,
        })
    }
}

fn network_of(address: IpNetwork) -> IpNetwork {
    // Cannot fail: the prefix comes from an address of the same family.
    IpNetwork::new(address.network(), address.prefix()).unwrap_or(address)
}

fn mtu(text: &str) -> Result<u32, Problem> {
    let error = || Problem::Mtu(text.to_owned());
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_err(|_| error())
    } else {
        Err(error())
    }
}

fn ip_masq(text: &str) -> Result<bool, Problem> {
    text.parse().map_err(|_| Problem::IpMasq(text.to_owned()))
}

#[cfg(test)]
mod tests;
