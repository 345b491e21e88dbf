//! The faults of a node: kinds, evidence and repairs.
//!
//! [`examine`] reads the node, each part once. Each family of faults has a module with a function
//! that finds them in the values read, which is pure. A [`Fault`] names its [`Repair`], which is a
//! value too.

mod addresses;
mod bridge;
mod dead;
mod disk;
mod host;
mod kept;
mod lease_file;
mod lists;
mod plugins;
mod repair;
mod rule_check;
mod rules;
mod settings;
mod stores;
mod unreadable;
mod unrecorded;
mod view;

use std::time::{Duration, SystemTime};

use anyhow::Result;
use clap::Args;
use cni_types::json::Object;
use living::{Living, Namespaces, Source};
use node::{Binary, Node, Recorded, find_binaries};

use self::host::Host;
pub(crate) use self::repair::Repair;
use self::rule_check::RuleCheck;
pub(crate) use self::view::FaultView;
use crate::age;
use crate::holdings::{Fate, Filter, Holding, Inquest, collect, forget_irrelevant, settle};
use crate::node_options::NodeOptions;

/// The kinds of faults.
pub(crate) const KINDS: [&str; 29] = [
    "unreadable",
    "dead-lease",
    "kept-without-container",
    "link-without-container",
    "garbled-kept-configuration",
    "failed-delete",
    "unrecorded-address",
    "garbled-address-file",
    "blocked-address",
    "address-of-another",
    "duplicate-address",
    "false-index",
    "damaged-database",
    "other-backend",
    "range-nearly-exhausted",
    "disk-full",
    "disk-read-only",
    "no-list",
    "lease-file",
    "old-lease-file",
    "missing-plugin",
    "foreign-plugin",
    "bridge-without-gateway",
    "bridge-with-old-address",
    "flushed-rules",
    "missing-masquerading",
    "missing-port-map",
    "leftover-rules",
    "sysctl",
];

/// A fault of the node.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// One of [`KINDS`].
    pub(crate) kind: &'static str,
    /// The address, file or link that the fault is about.
    pub(crate) subject: String,
    /// The evidence for it.
    pub(crate) evidence: String,
    /// Its effect for the user.
    pub(crate) effect: &'static str,
    /// The command that mends it.
    pub(crate) command: String,
    /// The action of `twill repair`; `None` if only a person can mend it.
    pub(crate) repair: Option<Repair>,
}

/// The options of commands that look for faults: paths, and the source of the living containers.
#[derive(Args, Debug)]
pub(crate) struct ExamineOptions {
    /// The source of the living containers, as for `twill gc`; the kernel by default.
    #[arg(long, value_name = "SOURCE")]
    from: Vec<Source>,
    /// Nothing that is younger than this counts as dead, such as 90s, 5m or 1h.
    #[arg(long, value_name = "AGE", default_value = "5m", value_parser = age::parse)]
    older_than: Duration,
    #[command(flatten)]
    node: NodeOptions,
}

impl ExamineOptions {
    /// The files and directories to read.
    pub(crate) fn node(&self) -> &NodeOptions {
        &self.node
    }
}

/// Everything that the faults are found in.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) node: Node,
    /// The plugins of the list in use, those that they call included.
    pub(crate) binaries: Vec<Binary>,
    /// The holdings of dead attachments, with the reason why each counts as dead; an error if a
    /// part of the node cannot be read.
    pub(crate) dead: Vec<(Holding, String)>,
    pub(crate) rules: RuleCheck,
    pub(crate) host: Host,
}

/// A node, with its faults.
#[derive(Debug)]
pub(crate) struct Examined {
    pub(crate) node: Node,
    pub(crate) binaries: Vec<Binary>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) namespaces: Option<Namespaces>,
}

/// Brings the indexes of a node's leases up to date: see [`settle`](crate::holdings::settle()).
pub(crate) fn settle_all(options: &ExamineOptions) {
    // A network that cannot be locked cannot be repaired either: the repair reports it.
    drop(settle(&options.node.paths(), &Filter::default()));
}

/// Reads the node, and finds its faults. Changes nothing, and holds no lock but that of a database
/// while it is copied.
///
/// # Errors
/// If a source cannot be asked for the living containers.
pub(crate) fn examine(options: &ExamineOptions) -> Result<Examined> {
    // The records are read before a source is asked for the living containers.
    let recorded = Recorded::read(&options.node.paths());
    let holdings = collect(
        &recorded.stores,
        &recorded.kept,
        &recorded.links,
        &Filter::default(),
    );
    let sources = match options.from.is_empty() {
        true => &[Source::Netns][..],
        false => &options.from,
    };
    let living = Living::ask(sources)?;
    let mut node = recorded.into_node();
    if let (Ok(found), Ok(cached), Ok(holdings)) = (&mut node.namespaces, &node.cached, &holdings) {
        forget_irrelevant(found, cached, holdings);
    }
    // A part that cannot be read is reported as a fault.
    let namespaces = Namespaces::new(&node.links, &node.namespaces).ok();
    let (dead, rules) = match (holdings, &namespaces) {
        (Ok(holdings), Some(namespaces)) => {
            let inquest = Inquest {
                living: &living,
                namespaces,
                sightings: &node.sightings,
                now: SystemTime::now(),
                older_than: options.older_than,
            };
            let rules = RuleCheck::of(&node, &inquest, &holdings);
            (dead_of(holdings, &inquest), rules)
        }
        _ => Default::default(),
    };
    let facts = Facts {
        binaries: binaries(&node),
        host: Host::read(&node),
        dead,
        rules,
        node,
    };
    Ok(Examined {
        faults: find(&facts),
        node: facts.node,
        binaries: facts.binaries,
        namespaces,
    })
}

fn dead_of(holdings: Vec<Holding>, inquest: &Inquest<'_>) -> Vec<(Holding, String)> {
    let holdings = holdings.into_iter();
    let dead = holdings.filter_map(|holding| match inquest.fate(&holding) {
        Fate::Dead(reason) => Some((holding, reason)),
        Fate::Alive(_) | Fate::Unclear(_) => None,
    });
    dead.collect()
}

/// Finds the faults of a node.
fn find(facts: &Facts) -> Vec<Fault> {
    let mut faults = Vec::new();
    for find in [
        disk::find,
        unreadable::find,
        stores::find,
        lists::find,
        lease_file::find,
        plugins::find,
        bridge::find,
        unrecorded::find,
        addresses::find,
        dead::find,
        kept::find,
        rules::find,
        settings::find,
    ] {
        faults.extend(find(facts));
    }
    faults
}

/// The plugins of the list in use, those that the first one calls included, in the order of their
/// calls.
fn binaries(node: &Node) -> Vec<Binary> {
    let Some((_, list)) = node.list_in_use() else {
        return Vec::new();
    };
    let network = node.network(list.name.as_str());
    let conf = network.and_then(|network| network.conf.as_ref().ok()?.as_ref());
    let delegate: Option<String> = conf.and_then(|conf| conf.decode("type").ok()?);
    let ipam: Option<Object> = conf.and_then(|conf| conf.decode("ipam").ok()?);
    let ipam: Option<String> = ipam.and_then(|ipam| ipam.decode("type").ok()?);
    let mut names: Vec<String> = Vec::new();
    for plugin in &list.plugins {
        names.push(plugin.plugin_type.to_string());
        if names.len() == 1 {
            names.extend(delegate.iter().chain(&ipam).cloned());
        }
    }
    find_binaries(&node.paths.plugin_dirs, names.iter().map(String::as_str))
}
