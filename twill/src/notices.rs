//! What is wrong on a node at a glance, with what to do about each.

use allocator::Unowned;
use node::{Binary, KeptConfs, Lease, Life, Network, Node};
use serde::Serialize;

/// The share of a range in use from which on it is nearly exhausted, in percent.
const NEARLY: u128 = 90;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Notice {
    /// What kind of problem it is: a word that stays the same.
    pub(crate) kind: &'static str,
    /// The problem.
    pub(crate) problem: String,
    /// What to do about it; empty if there is nothing to do.
    pub(crate) advice: String,
}

impl Notice {
    fn new(kind: &'static str, problem: String, advice: impl Into<String>) -> Self {
        Self {
            kind,
            problem,
            advice: advice.into(),
        }
    }
}

/// What is wrong on a node; nothing if all is well. `binaries` are those of the list in use.
pub(crate) fn notices(node: &Node, binaries: &[Binary]) -> Vec<Notice> {
    let mut notices = Vec::new();
    let unreadable = |problem: &node::Problem| {
        let advice = "run it as root, or repair or move away what the message names";
        Notice::new("unreadable", problem.to_string(), advice)
    };
    notices.extend(node.problems().into_iter().map(unreadable));
    let list = node.list_in_use();
    if list.is_none() {
        let dir = node.paths.conf_dir.display();
        let problem = format!("no file in {dir} is a network configuration that can be used");
        notices.push(Notice::new(
            "no-list",
            problem,
            "install one: runtimes use the first",
        ));
    }
    let needs_lease = list.is_some_and(|(_, list)| node::plugin_of(list, "flannel").is_some());
    if let Some(problem) = node.lease_file.as_ref().err().filter(|_| needs_lease) {
        let advice = "look at flanneld, which writes the file: pods start once it is complete";
        notices.push(Notice::new("no-lease", problem.to_string(), advice));
    }
    for binary in binaries {
        if let Err(problem) = &binary.whose {
            let advice = "install the plugin, or correct the network configuration";
            notices.push(Notice::new("no-plugin", problem.to_string(), advice));
        }
    }
    for kept in node
        .kept
        .iter()
        .flat_map(KeptConfs::iter)
        .filter(|kept| kept.failures > 0)
    {
        let ifname = kept.ifname.as_ref().map_or("", |ifname| ifname.as_str());
        let problem = format!(
            "{} calls for {ifname} of container {} failed: {}",
            kept.failures, kept.container_id, kept.last_failure
        );
        let advice = format!("twill show {}", kept.container_id);
        notices.push(Notice::new("failed-delete", problem, advice));
    }
    for network in &node.networks {
        of_network(network, &mut notices);
    }
    for table in node.firewall.iter().flat_map(|firewall| &firewall.flushed) {
        let problem = format!("somebody has flushed table {table}");
        let advice = "the next ADD, or a GC, restores what the rest of the table speaks of";
        notices.push(Notice::new("flushed-table", problem, advice));
    }
    notices
}

fn of_network(network: &Network, notices: &mut Vec<Notice>) {
    let name = &network.name;
    let dead = network
        .leases
        .iter()
        .filter(|lease| lease.is_dead())
        .count();
    if dead > 0 {
        let problem = format!(
            "{} of network {name}",
            count(dead, "dead lease", "dead leases")
        );
        let advice =
            format!("`twill leases {name} --dead` lists them, and `twill gc` frees what is theirs");
        notices.push(Notice::new("dead-lease", problem, advice));
    }
    let blocked = |lease: &&Lease| matches!(lease.owner, Err(Unowned::Text | Unowned::NotAFile));
    for lease in network.leases.iter().filter(blocked) {
        let file = network
            .data_dir
            .join(name.as_str())
            .join(lease.address.to_string());
        let problem = format!(
            "{} names no container, and blocks its address",
            file.display()
        );
        notices.push(Notice::new(
            "blocked-address",
            problem,
            "remove it if nobody needs it",
        ));
    }
    for range in network.range_use() {
        if range.used as u128 * 100 >= range.size * NEARLY && range.size > 0 {
            let problem = format!(
                "{} of {} addresses of range {} of network {name} are in use",
                range.used, range.size, range.set
            );
            let advice = "release dead leases, or have flanneld get larger subnets";
            notices.push(Notice::new("range-nearly-exhausted", problem, advice));
        }
    }
}

/// A number with its noun.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// How many leases of a network are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct States {
    pub(crate) alive: usize,
    pub(crate) dead: usize,
    pub(crate) unknown: usize,
    /// Files that give an address to nobody.
    pub(crate) unowned: usize,
}

impl States {
    pub(crate) fn of(network: &Network) -> Self {
        let mut states = Self::default();
        for lease in &network.leases {
            *match lease.life {
                Some(Life::Alive(_)) => &mut states.alive,
                Some(Life::Dead(_)) => &mut states.dead,
                Some(Life::Unknown(_)) => &mut states.unknown,
                None => &mut states.unowned,
            } += 1;
        }
        states
    }
}
