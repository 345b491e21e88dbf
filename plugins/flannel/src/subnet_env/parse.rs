//! From a file's contents to a lease. Pure.

use cni_types::parse_cidr;
use ipnetwork::IpNetwork;

use super::assignments::{Assignments, PassedOver};
use super::{Lease, Problem, Reading, longest_prefix, network_of};

/// Reads the lease from a file's contents.
pub(super) fn parse(contents: &[u8]) -> Result<Reading, Problem> {
    let mut file = Assignments::of(contents)?;
    // flanneld's IPv4 keys may have IPv6 values: Go's flannel accepts them as IPv6.
    let networks = [
        networks("FLANNEL_NETWORK", &file)?,
        only_ipv6(
            "FLANNEL_IPV6_NETWORK",
            networks("FLANNEL_IPV6_NETWORK", &file)?,
        )?,
    ];
    let subnets = [
        ("FLANNEL_SUBNET", subnet("FLANNEL_SUBNET", &file)?),
        (
            "FLANNEL_IPV6_SUBNET",
            only_ipv6("FLANNEL_IPV6_SUBNET", subnet("FLANNEL_IPV6_SUBNET", &file)?)?,
        ),
    ];
    let mtu = file.value("FLANNEL_MTU")?.map(mtu).transpose()?;
    let ip_masq = file.last("FLANNEL_IPMASQ")?.map(IpMasq::of);

    let mut lease = Lease {
        networks: Vec::new(),
        subnets: Vec::new(),
        mtu: 0,
        ip_masq: matches!(ip_masq, Some(IpMasq::Yes)),
        no_room: None,
    };
    for network in networks.concat() {
        if !lease.networks.contains(&network) {
            lease.networks.push(network);
        }
    }
    for (key, subnet) in subnets {
        for subnet in subnet {
            if subnet.prefix() > longest_prefix(&subnet) && lease.no_room.is_none() {
                lease.no_room = Some((key, subnet));
            }
            if !lease.subnets.contains(&subnet) {
                lease.subnets.push(subnet);
            }
        }
    }

    let mut missing = Vec::new();
    if lease.networks.is_empty() {
        missing.extend(["FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK"]);
    }
    if lease.subnets.is_empty() {
        missing.extend(["FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"]);
    }
    match mtu {
        Some(mtu) => lease.mtu = mtu,
        None => missing.push("FLANNEL_MTU"),
    }
    if ip_masq.is_none() {
        missing.push("FLANNEL_IPMASQ");
    }
    if !missing.is_empty() {
        return Err(file.mention_of(&missing).unwrap_or(Problem::Partial {
            keys: missing,
            passed_over: file.passed_over,
        }));
    }
    let is_cut_off = matches!(&ip_masq, Some(IpMasq::Other(value)) if is_start_of_yes(value))
        && file.is_cut_off("FLANNEL_IPMASQ");
    if let Some(IpMasq::Other(value)) = ip_masq {
        file.passed_over.push(PassedOver::Masquerading(value));
    }
    Ok(Reading {
        lease,
        passed_over: file.passed_over,
        is_cut_off,
    })
}

fn networks(key: &'static str, file: &Assignments<'_>) -> Result<Vec<IpNetwork>, Problem> {
    let list = file.value(key)?.map(|list| list.split(','));
    list.into_iter()
        .flatten()
        .map(|text| network(key, text.trim()))
        .collect()
}

fn subnet(key: &'static str, file: &Assignments<'_>) -> Result<Vec<IpNetwork>, Problem> {
    let text = file.value(key)?;
    text.into_iter().map(|text| network(key, text)).collect()
}

/// The network that an address with its mask belongs to.
fn network(key: &'static str, text: &str) -> Result<IpNetwork, Problem> {
    parse_cidr(text)
        .map(network_of)
        .map_err(|source| Problem::Network { key, source })
}

fn only_ipv6(key: &'static str, networks: Vec<IpNetwork>) -> Result<Vec<IpNetwork>, Problem> {
    match networks.iter().find(|network| network.is_ipv4()) {
        None => Ok(networks),
        Some(network) => Err(Problem::NotIpv6 {
            key,
            network: *network,
        }),
    }
}

fn mtu(text: &str) -> Result<u32, Problem> {
    let error = || Problem::Mtu(text.to_owned());
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_err(|_| error())
    } else {
        Err(error())
    }
}

/// The value of FLANNEL_IPMASQ.
enum IpMasq {
    Yes,
    No,
    /// Any other value. It means no, as for Go's flannel.
    Other(String),
}

const YES: [&str; 3] = ["true", "yes", "1"];
const NO: [&str; 3] = ["false", "no", "0"];

impl IpMasq {
    fn of(text: &str) -> Self {
        let is = |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        if is(YES) {
            Self::Yes
        } else if is(NO) {
            Self::No
        } else {
            Self::Other(text.to_owned())
        }
    }
}

/// Whether this is the start of a yes.
fn is_start_of_yes(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    YES.iter().any(|word| word.starts_with(&text))
}
