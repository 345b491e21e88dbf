//! `twill leases`: the addresses in use, their containers, and whether these are alive.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use cni_types::NetworkName;
use node::{Lease, Network, Node};

use crate::cli::Outcome;
use crate::lease_view::{HEADER, LeaseView};
use crate::node_options::NodeOptions;
use crate::output::Output;
use crate::table::Table;

/// Lists the addresses in use: the container of each, since when, and whether it is alive.
///
/// A lease is alive if its address is on a link of a container, or if the container's link on the
/// node exists. It is unknown if not all network namespaces can be read. The list has the
/// addresses of both backends of host-local, and the names of pods that the runtime has recorded.
#[derive(Args, Debug)]
#[command(
    visible_alias = "ls",
    after_help = "Examples:
  twill leases
  twill ls cbr0 --dead
  twill ls --container 3f2a --json"
)]
pub(crate) struct Options {
    /// Only the leases of this network.
    network: Option<NetworkName>,
    /// Only the leases of dead containers.
    #[arg(long)]
    dead: bool,
    /// Only the leases of containers whose ID begins with this.
    #[arg(long, value_name = "ID")]
    container: Option<String>,
    /// The order.
    #[arg(long, value_enum, default_value_t = Sort::Address)]
    sort: Sort,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    node: NodeOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    /// By address.
    Address,
    /// By the container's ID.
    Container,
    /// The oldest first.
    Since,
    /// Alive, unknown, dead.
    State,
}

/// The columns that a narrow terminal does without.
const DISPENSABLE: [&str; 4] = ["BOOT", "INTERFACE", "WHY", "SINCE"];

/// Prints the leases.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let node = Node::read(&options.node.paths());
    let mut leases: Vec<(&Network, &Lease)> = Vec::new();
    for network in &node.networks {
        if options
            .network
            .as_ref()
            .is_none_or(|it| *it == network.name)
        {
            let wanted = network.leases.iter().filter(|lease| options.wants(lease));
            leases.extend(wanted.map(|lease| (network, lease)));
        }
    }
    sort(&mut leases, options.sort);
    let views = leases
        .iter()
        .map(|(network, lease)| (LeaseView::of(network.name.as_str(), lease), *lease));
    if options.json {
        let views: Vec<_> = views.map(|(view, _)| view).collect();
        output.json(&views);
    } else {
        let mut table = Table::new(HEADER);
        for (view, lease) in views {
            table.row(view.cells(lease, node.now));
        }
        if table.is_empty() {
            output.remark("no leases");
        }
        let table = table.without_empty_columns();
        output.table(&table.with_dispensable(&DISPENSABLE));
    }
    let problems: Vec<_> = node
        .stores
        .iter()
        .flat_map(node::Stores::problems)
        .collect();
    if let Some(problem) = problems.first() {
        bail!("these are not all leases: {problem}");
    }
    Ok(Outcome::Done)
}

impl Options {
    fn wants(&self, lease: &Lease) -> bool {
        let owner = lease.owner.as_ref().ok();
        let is_of = |start: &String| {
            owner.is_some_and(|owner| owner.container_id.as_str().starts_with(start))
        };
        self.container.as_ref().is_none_or(is_of) && (!self.dead || lease.is_dead())
    }
}

fn sort(leases: &mut [(&Network, &Lease)], order: Sort) {
    match order {
        Sort::Address => {}
        Sort::Container => leases.sort_by_key(|(_, lease)| {
            let owner = lease.owner.as_ref().ok();
            owner.map(|owner| owner.container_id.clone())
        }),
        Sort::Since => leases.sort_by_key(|(_, lease)| (lease.since.is_none(), lease.since)),
        Sort::State => leases.sort_by_key(|(_, lease)| match lease.life {
            Some(node::Life::Alive(_)) => 0,
            Some(node::Life::Unknown(_)) => 1,
            Some(node::Life::Dead(_)) => 2,
            None => 3,
        }),
    }
}
