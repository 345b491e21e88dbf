//! `twill reserve`: gives a container its addresses in several networks, for a program that runs
//! containers without CNI's plugins.

use std::net::IpAddr;
use std::str::FromStr;

use allocator::{Database, NetworkRequest, RangeSet, RangeSpec, StoreKind, allocate_container};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use cni_types::json::Object;
use cni_types::{ContainerId, NetworkName};
use node::{Node, Paths, with_conf};
use serde_json::json;
use state::BootId;

use crate::cli::Outcome;
use crate::output::Output;

/// The IPAM driver whose addresses are in the database.
const HOST_LOCAL: &str = "host-local";

/// Reserves addresses for a container in several networks: in all of them, or in none.
///
/// It is for networks with `"backend": "db"`, whose configurations say which addresses there are.
/// The interfaces are eth0, eth1 and so on, in the order of the networks. `twill release CONTAINER`
/// releases the addresses.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  twill reserve c1 cbr0
  twill reserve c1 cbr0=10.244.1.7 storage")]
pub(crate) struct Options {
    /// The container's ID.
    container: ContainerId,
    /// A network, with the addresses that the container gets there instead of the next free ones.
    #[arg(value_name = "NETWORK[=ADDRESS,…]", required = true)]
    network: Vec<Wish>,
    /// The directory of the network configurations [default: /etc/cni/net.d].
    #[arg(long, value_name = "DIR")]
    conf: Option<std::path::PathBuf>,
    /// flanneld's lease, where a configuration names none.
    #[arg(long, value_name = "FILE")]
    lease: Option<std::path::PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A network, and the addresses wanted there.
#[derive(Clone, Debug)]
struct Wish {
    network: NetworkName,
    addresses: Vec<IpAddr>,
}

impl FromStr for Wish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (network, addresses) = text.split_once('=').unwrap_or((text, ""));
        let addresses = addresses.split(',').filter(|address| !address.is_empty());
        let addresses = addresses.map(|text| {
            let address = cni_types::parse_ip(text);
            address.map_err(|_| format!("{text:?} is no IP address"))
        });
        Ok(Self {
            network: network.parse().map_err(|error| format!("{error}"))?,
            addresses: addresses.collect::<Result<_, _>>()?,
        })
    }
}

/// Reserves the addresses, and prints them.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let mut paths = Paths::default();
    if let Some(conf) = &options.conf {
        paths.conf_dirs = vec![conf.clone()];
    }
    paths.lease_file = options.lease.clone().unwrap_or(paths.lease_file);
    let node = Node::read(&paths);
    let mut data_dir = None;
    let mut requests = Vec::new();
    for (number, wish) in options.network.iter().enumerate() {
        let network = &wish.network;
        let (dir, subnets) =
            subnets_of(&node, network).with_context(|| format!("network {network}"))?;
        if *data_dir.get_or_insert_with(|| dir.clone()) != dir {
            bail!("the networks have their databases in different directories: reserve in each");
        }
        requests.push(NetworkRequest {
            network: network.clone(),
            ifname: format!("eth{number}").parse()?,
            driver: HOST_LOCAL.to_owned(),
            subnets,
            static_addresses: wish.addresses.clone(),
        });
    }
    let data_dir = data_dir.context("no network is named")?;
    let database = Database::create(&data_dir)?;
    let transaction = database.begin(allocator::DEFAULT_LOCK_TIMEOUT, BootId::read())?;
    let given = allocate_container(transaction, &options.container, &requests)?;
    let mut all = Vec::new();
    for (request, (network, allocations)) in requests.iter().zip(given) {
        for allocation in allocations {
            let (address, gateway) = (allocation.address, allocation.gateway);
            let ifname = &request.ifname;
            match options.json {
                true => all.push(json!({
                    "network": network.as_str(), "ifname": ifname.as_str(),
                    "address": address.to_string(), "gateway": gateway.to_string(),
                })),
                false => output.line(&format!("{network} {ifname} {address} gateway {gateway}")),
            }
        }
    }
    if options.json {
        output.json(&all);
    }
    Ok(Outcome::Done)
}

/// The directory of a network's database, and the network's subnets.
fn subnets_of(node: &Node, name: &NetworkName) -> Result<(std::path::PathBuf, Vec<RangeSpec>)> {
    let network = node.network(name.as_str());
    let network = network.context("no network configuration has this name")?;
    let conf = network.conf.as_ref().map_err(Clone::clone)?;
    let conf = conf
        .as_ref()
        .context("its configuration needs flanneld's lease")?;
    let (location, sets) = with_conf(conf, twill_host_local::ranges)?;
    if location.backend != StoreKind::Db {
        bail!("its ipam has not \"backend\": \"db\": `twill add` attaches a container to it");
    }
    let ipam: Option<Object> = conf.decode("ipam")?;
    if ipam.is_some_and(|ipam| ipam.contains("exclude")) {
        bail!("its ipam has \"exclude\", which `twill reserve` does not know: use `twill add`");
    }
    let spec = |set: &RangeSet| match set.ranges() {
        [range] => Ok(RangeSpec {
            subnet: range.subnet(),
            start: Some(range.span().start()),
            end: Some(range.span().end()),
            gateway: Some(range.gateway()),
        }),
        _ => bail!("a range set of it has several ranges, which `twill reserve` does not know"),
    };
    let subnets = sets.iter().map(spec).collect::<Result<_>>()?;
    Ok((location.data_dir, subnets))
}
