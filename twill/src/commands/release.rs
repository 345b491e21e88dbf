//! `twill release`: frees the holdings of one container, which is named by its ID or by an address.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use cni_types::{ContainerId, NetworkName};
use living::Namespaces;
use netlink::Rtnetlink;
use node::Paths;
use serde::Serialize;

use crate::cli::Outcome;
use crate::context::Context;
use crate::holdings::free::{Freed, free};
use crate::holdings::{Filter, Holding, read, settle};
use crate::node_options::NodeOptions;
use crate::output::Output;

/// Releases the addresses of a container, and everything else that it holds.
///
/// The command refuses while a link has one of the addresses, or the container has a link, because
/// the address would be allocated to another container: use `twill gc`, or the runtime.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  twill release 10.244.1.7
  twill release 9f8e7d6c5b4a39281706f5e4d3c2b1a0f9e8d7c6b5a4938271605f4e3d2c1b0a
  twill release c1 cbr0 --force          removes its interface, too")]
pub(crate) struct Options {
    /// An address, or a container ID.
    #[arg(value_name = "ADDRESS|CONTAINER")]
    target: Target,
    /// The networks to look at; all by default.
    network: Vec<NetworkName>,
    /// Release it although a link has the address, and remove the container's interface.
    #[arg(long)]
    force: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    node: NodeOptions,
}

/// The target of the release.
#[derive(Clone, Debug)]
enum Target {
    Address(IpAddr),
    Container(ContainerId),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = cni_types::parse_ip_or_cidr(text) {
            return Ok(Self::Address(address));
        }
        if text.contains('.') && text.bytes().all(|it| it.is_ascii_digit() || it == b'.') {
            return Err("it is no address".to_owned());
        }
        let container = text.parse().map(Self::Container);
        container.map_err(|error| format!("neither an address nor a container ID: {error}"))
    }
}

/// Frees the holdings of the target.
pub(crate) fn run(
    options: &Options,
    context: &Context,
    output: &mut Output<'_>,
) -> Result<Outcome> {
    let paths = options.node.paths();
    let filter = Filter {
        networks: options.network.clone(),
        container: match &options.target {
            Target::Address(_) => None,
            Target::Container(container) => Some(container.clone()),
        },
    };
    settle(&paths, &filter)?;
    let mut holdings = read(&paths, &filter)?;
    if let Target::Address(address) = options.target {
        holdings.retain(|holding| holding.addresses().contains(&address));
    }
    if holdings.is_empty() {
        if let Target::Container(container) = &options.target {
            refuse_start(container, &paths)?;
        }
        match options.json {
            true => output.json::<[Released]>(&[]),
            false => output.line("nothing is held: there is nothing to release"),
        }
        return Ok(Outcome::Done);
    }
    let namespaces = match options.force {
        true => Namespaces::read_visible(),
        false => Namespaces::read(),
    };
    let namespaces = namespaces.context("the network namespaces cannot be read")?;
    if !options.force {
        for holding in &holdings {
            refuse_in_use(holding, &namespaces)?;
        }
    }
    let mut all = Vec::new();
    let released = holdings.iter().try_for_each(|holding| {
        release(holding, &namespaces, context)?;
        if !options.json {
            output.line(&format!("released {}", holding.in_words()));
        }
        all.push(Released::of(holding));
        Ok(())
    });
    if options.json {
        output.json(&all);
    }
    released.map(|()| Outcome::Done)
}

/// What was released; the fields are the keys of the JSON.
#[derive(Debug, Serialize)]
struct Released {
    network: String,
    #[serde(rename = "containerID")]
    container_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ifname: Option<String>,
    addresses: Vec<String>,
}

impl Released {
    fn of(holding: &Holding) -> Self {
        let addresses = holding.addresses().into_iter();
        Self {
            network: holding.network.to_string(),
            container_id: holding.owner.container_id.to_string(),
            ifname: holding.owner.ifname.as_ref().map(ToString::to_string),
            addresses: addresses.map(|address| address.to_string()).collect(),
        }
    }
}

fn release(holding: &Holding, namespaces: &Namespaces, context: &Context) -> Result<()> {
    let namespace = holding.with_subject(|subject| namespaces.of(subject));
    let words = holding.in_words();
    match free(holding, namespace, &context.environment)
        .with_context(|| format!("{words} cannot be released"))?
    {
        Freed::All => Ok(()),
        Freed::Changed => bail!("{words} has changed meanwhile, and was left alone: look again"),
    }
}

/// Refuses the start of a container's ID, as other programs print it: nothing would be released,
/// although the container holds something.
fn refuse_start(start: &ContainerId, paths: &Paths) -> Result<()> {
    let holdings = read(paths, &Filter::default())?;
    let ids = holdings.iter().map(|it| it.owner.container_id.as_str());
    let mut ids: BTreeSet<&str> = ids.filter(|id| id.starts_with(start.as_str())).collect();
    // It may hold something in other networks than those that were named.
    if ids.remove(start.as_str()) || ids.is_empty() {
        return Ok(());
    }
    bail!(
        "{start} is only the start of a container's ID: name {} in full",
        Vec::from_iter(ids).join(" or ")
    );
}

/// Refuses to release an address that a link still has.
fn refuse_in_use(holding: &Holding, namespaces: &Namespaces) -> Result<()> {
    let advice = "delete the container, or repeat it with --force";
    for address in holding.addresses() {
        if let Some((namespace, link)) = namespaces.with_address(address).first() {
            bail!("{address} is on link {link} in {namespace}: {advice}");
        }
        if let Some(link) = link_on_node(address)? {
            bail!("{address} is on link {link} of the node: {advice}");
        }
    }
    if let Some(link) = holding.links.first() {
        bail!("{} has link {}: {advice}", holding.in_words(), link.name);
    }
    Ok(())
}

/// The link of the node that has an address.
fn link_on_node(address: IpAddr) -> Result<Option<String>> {
    let mut kernel = Rtnetlink::open()?;
    let addresses = kernel.all_addresses()?.into_iter();
    let mut found = addresses.filter(|(_, it)| it.network.ip() == address);
    let Some((index, _)) = found.next() else {
        return Ok(None);
    };
    Ok(kernel.link_by_index(index)?.map(|link| link.name))
}
