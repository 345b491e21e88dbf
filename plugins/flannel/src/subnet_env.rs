//! The lease that flanneld obtained for this node: the file subnet.env.
//!
//! ```text
//! FLANNEL_NETWORK=10.244.0.0/16          the network of all nodes; a list has commas
//! FLANNEL_SUBNET=10.244.1.1/24           this node's part of it, as its bridge's address
//! FLANNEL_IPV6_NETWORK=fd00:244::/56     the same for IPv6
//! FLANNEL_IPV6_SUBNET=fd00:244:0:1::1/64
//! FLANNEL_MTU=1450                       bytes
//! FLANNEL_IPMASQ=true                    whether flanneld itself masquerades
//! ```
//!
//! The values of these keys are checked. Other lines are ignored and logged.

mod assignments;
mod parse;
mod wait;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use cni_plugin::Log;
use cni_types::json::Object;
use cni_types::{AddResult, AddressError, Quoted, parse_cidr};
use ipnetwork::IpNetwork;
use serde::Deserialize;
use state::read_bounded;

use self::assignments::PassedOver;
use self::parse::parse;
pub(crate) use self::wait::read_or_wait;

/// The maximum number of bytes that are read of the file.
const MAX_FILE: usize = 1 << 20;

/// A node's lease. It has at least one network and one subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// The networks of all nodes, IPv4 before IPv6, each once.
    pub(crate) networks: Vec<IpNetwork>,
    /// This node's subnets, IPv4 before IPv6.
    pub(crate) subnets: Vec<IpNetwork>,
    /// The MTU that containers can use, in bytes.
    pub(crate) mtu: u32,
    /// Whether flanneld masquerades packets that leave the network, so that the delegate must not.
    pub(crate) ip_masq: bool,
    /// A subnet that has no room for a gateway and a container, and its key.
    pub(crate) no_room: Option<(&'static str, IpNetwork)>,
}

/// The part of a delegate's configuration that contains the lease's subnets.
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
    /// The part of a lease that a DEL needs, from a result: the subnets of its addresses. `None` if
    /// it has no address.
    pub(crate) fn of_result(result: &AddResult) -> Option<Self> {
        Self::of_subnets(result.addresses().collect())
    }

    /// The part of a lease that a DEL needs, from a configuration that was rendered from the lease.
    /// `None` if that has no subnet.
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
            // The delegate may have masqueraded, and then has rules to remove.
            ip_masq: false,
            no_room: None,
        })
    }

    /// Whether each subnet has an address for the gateway and one for a container, as `host-local`
    /// needs them.
    ///
    /// # Errors
    /// [`Problem::NoRoom`] with `file`, the file of the lease.
    pub(crate) fn require_room(&self, file: &Path) -> Result<(), LeaseError> {
        match self.no_room {
            None => Ok(()),
            Some((key, network)) => Err(LeaseError {
                file: file.to_owned(),
                problem: Problem::NoRoom { key, network },
                is_cut_off: false,
            }),
        }
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
    /// The problem with the file.
    pub(crate) problem: Problem,
    /// Whether its last line has no newline, for example because another process is writing it.
    is_cut_off: bool,
}

impl LeaseError {
    /// Whether the problem may disappear once flanneld has written the file.
    fn may_pass(&self) -> bool {
        self.is_cut_off || matches!(self.problem, Problem::Absent | Problem::Partial { .. })
    }
}

/// A problem with a subnet.env.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("there is no such file: flanneld has no lease for this node yet")]
    Absent,
    #[error("{} missing: flanneld has not written all of the \
        lease{}", keys.join(", "), in_addition(passed_over))]
    Partial {
        keys: Vec<&'static str>,
        /// Lines that may be misspelt assignments of the missing keys.
        passed_over: Vec<PassedOver>,
    },
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
    #[error("{key}: {network} is not IPv6")]
    NotIpv6 {
        key: &'static str,
        network: IpNetwork,
    },
    #[error(
        "{key}: {network} has no room for a gateway and a container: have flanneld get subnets of \
            a prefix length of at most {}",
        longest_prefix(network)
    )]
    NoRoom {
        key: &'static str,
        network: IpNetwork,
    },
    #[error("FLANNEL_MTU: {} is no number of bytes", Quoted(.0))]
    Mtu(String),
}

fn in_addition(passed_over: &[PassedOver]) -> String {
    /// How many lines are named: the file may be no lease at all.
    const AT_MOST: usize = 3;
    let notes = passed_over.iter().take(AT_MOST);
    let mut notes: String = notes
        .map(|passed_over| format!("; {passed_over}"))
        .collect();
    let more = passed_over.len().saturating_sub(AT_MOST);
    if more > 0 {
        notes += &format!("; {more} more lines are passed over");
    }
    notes
}

/// A lease with the notes of its parser.
#[derive(Debug)]
struct Reading {
    lease: Lease,
    /// The lines that were ignored.
    passed_over: Vec<PassedOver>,
    /// Whether another process may be writing the last value.
    is_cut_off: bool,
}

impl Reading {
    /// Logs the ignored lines, and returns the lease.
    fn settle(self, file: &Path, log: &Log) -> Lease {
        for passed_over in &self.passed_over {
            log.info(format_args!("{}: {passed_over}", file.display()));
        }
        self.lease
    }
}

/// Reads the lease from a file.
///
/// # Errors
/// [`LeaseError`].
pub(crate) fn read(file: &Path, log: &Log) -> Result<Lease, LeaseError> {
    Ok(look(file)?.settle(file, log))
}

/// Reads the lease from a file, and what else is in it, in words.
///
/// # Errors
/// As [`read`].
pub(crate) fn inspect(file: &Path) -> Result<(Lease, Vec<String>), LeaseError> {
    let reading = look(file)?;
    let passed_over = reading.passed_over.iter().map(PassedOver::to_string);
    Ok((reading.lease, passed_over.collect()))
}

fn look(file: &Path) -> Result<Reading, LeaseError> {
    let failed = |problem, is_cut_off| LeaseError {
        file: file.to_owned(),
        problem,
        is_cut_off,
    };
    match read_bounded(file, MAX_FILE) {
        Ok(contents) => {
            parse(&contents).map_err(|problem| failed(problem, assignments::is_cut_off(&contents)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(failed(Problem::Absent, false))
        }
        Err(error) => Err(failed(Problem::Unreadable(error), false)),
    }
}

/// The longest prefix length with an address for a gateway and one for a container.
fn longest_prefix(network: &IpNetwork) -> u8 {
    if network.is_ipv4() { 30 } else { 126 }
}

fn network_of(address: IpNetwork) -> IpNetwork {
    // Cannot fail: the prefix comes from an address of the same family.
    IpNetwork::new(address.network(), address.prefix()).unwrap_or(address)
}

#[cfg(test)]
mod tests;
