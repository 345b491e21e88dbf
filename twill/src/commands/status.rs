//! `twill status`: the node at a glance.

use anyhow::Result;
use clap::Args;
use cni_types::NetworkName;
use firewall::{EntryKind, Inventory};
use netlink::LinkKind;
use node::{Binary, LeaseFile, Network, Node, Origin};
use serde::Serialize;

use super::network_status;
use crate::age;
use crate::cli::Outcome;
use crate::faults::{ExamineOptions, Examined, FaultView, examine};
use crate::output::Output;
use crate::states::States;
use crate::table::{Cell, Style, Table};

/// Shows the state of the node: flanneld's lease, the network configuration and its plugins,
/// bridges, ranges, rules, and what is wrong.
///
/// With NETWORK, the plugins of that network's list are asked instead whether they could serve an
/// ADD, as a runtime asks them.
///
/// The exit status is 0 if nothing is wrong, and 1 otherwise.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  twill status
  twill status --json | jq .problems
  twill status cbr0 -v                   STATUS of each plugin of cbr0's list")]
pub(crate) struct Options {
    /// The network whose plugins are asked.
    network: Option<NetworkName>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    examine: ExamineOptions,
    /// Show each plugin's request, answer and time, on standard error.
    #[arg(short, long, requires = "network")]
    verbose: bool,
}

/// The number of problems of a kind that are printed.
const AT_MOST: usize = 3;

/// The command's report; the fields are the keys of its JSON.
#[derive(Debug, Serialize)]
struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<SubnetLeaseView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<ListView>,
    plugins: Vec<PluginView>,
    bridges: Vec<BridgeView>,
    networks: Vec<NetworkView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    firewall: Option<FirewallView>,
    problems: Vec<FaultView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SubnetLeaseView {
    file: String,
    networks: Vec<String>,
    subnets: Vec<String>,
    mtu: u32,
    ip_masq: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<String>,
    #[serde(skip)]
    age: Option<String>,
}

#[derive(Debug, Serialize)]
struct ListView {
    file: String,
    network: String,
}

#[derive(Debug, Serialize)]
struct PluginView {
    #[serde(rename = "type")]
    plugin_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    whose: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    reports: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BridgeView {
    name: String,
    is_up: bool,
    mac: Option<String>,
    mtu: u32,
    addresses: Vec<String>,
    ports: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NetworkView {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<String>,
    data_dir: String,
    /// None if the leases cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    leases: Option<States>,
    ranges: Vec<RangeView>,
    /// The number of leases outside all ranges of the present configuration.
    outside: usize,
}

#[derive(Debug, Serialize)]
struct RangeView {
    range: String,
    size: u128,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    usage: Option<UsageView>,
}

#[derive(Debug, Serialize)]
struct UsageView {
    used: usize,
    free: u128,
    dead: usize,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct FirewallView {
    tables: Vec<String>,
    masqueraded: usize,
    held_to_mac: usize,
    ports: usize,
    waiting: usize,
}

/// Prints the status.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    if let Some(network) = &options.network {
        let list = options.examine.node().list(options.verbose);
        return network_status::run(network, &list, options.json, output);
    }
    let status = Status::of(examine(&options.examine)?);
    if options.json {
        output.json(&status);
    } else {
        status.print(output);
    }
    Ok(if status.problems.is_empty() {
        Outcome::Done
    } else {
        Outcome::Faults
    })
}

impl Status {
    fn of(examined: Examined) -> Self {
        let node = &examined.node;
        Self {
            lease: node
                .lease_file
                .as_ref()
                .ok()
                .map(|file| SubnetLeaseView::of(file, node)),
            list: node.list_in_use().map(|(file, list)| ListView {
                file: file.display().to_string(),
                network: list.name.to_string(),
            }),
            plugins: examined.binaries.iter().map(PluginView::of).collect(),
            bridges: bridges(node),
            networks: node.networks.iter().map(NetworkView::of).collect(),
            firewall: node.firewall.as_ref().ok().map(FirewallView::of),
            problems: examined.faults.into_iter().map(FaultView::from).collect(),
        }
    }

    fn print(&self, output: &mut Output<'_>) {
        let mut facts = Table::new(["", ""]);
        let mut fact = |what: &'static str, text: String| {
            facts.row([Cell::new(what, Style::Bold), text.into()]);
        };
        if let Some(lease) = &self.lease {
            fact("lease", lease.in_words());
        }
        if let Some(ListView { file, network }) = &self.list {
            fact("list", format!("network {network}, {file}"));
        }
        for bridge in &self.bridges {
            fact("bridge", bridge.in_words());
        }
        if let Some(firewall) = &self.firewall {
            fact("firewall", firewall.in_words());
        }
        output.texts(&facts);
        let mut plugins = Table::new(["PLUGIN", "WHOSE", "FILE"]);
        for plugin in &self.plugins {
            plugins.row(plugin.cells());
        }
        let mut networks = Table::new([
            "NETWORK", "RANGE", "SIZE", "USED", "FREE", "ALIVE", "DEAD", "UNKNOWN",
        ]);
        for network in &self.networks {
            network.rows(&mut networks);
        }
        for table in [plugins, networks] {
            if !table.is_empty() {
                output.line("");
                output.table(&table);
            }
        }
        output.line("");
        if self.problems.is_empty() {
            output.styled_line("nothing is wrong", Style::Good, "");
            return;
        }
        self.print_problems(output);
        output.line("`twill doctor` names the effect of each, and `twill repair` mends some");
    }

    /// Prints the first problems of each kind.
    fn print_problems(&self, output: &mut Output<'_>) {
        let mut rest = self.problems.as_slice();
        while let Some(FaultView { kind, .. }) = rest.first() {
            let length = rest.iter().take_while(|problem| problem.kind == *kind);
            let (group, after) = rest.split_at(length.count());
            rest = after;
            for problem in group.iter().take(AT_MOST) {
                let what = problem.in_words();
                output.styled_line("problem", Style::Bad, &format!("  {kind}: {what}"));
                output.line(&format!("  to do  {}", problem.command));
            }
            if group.len() > AT_MOST {
                let more = group.len() - AT_MOST;
                output.styled_line("problem", Style::Bad, &format!("  {kind}: {more} more"));
            }
        }
    }
}

impl SubnetLeaseView {
    fn of(file: &LeaseFile, node: &Node) -> Self {
        let texts =
            |networks: &[ipnetwork::IpNetwork]| networks.iter().map(ToString::to_string).collect();
        Self {
            file: file.path.display().to_string(),
            networks: texts(file.lease.networks()),
            subnets: texts(file.lease.subnets()),
            mtu: file.lease.mtu(),
            ip_masq: file.lease.ip_masq(),
            written: file.written.map(age::rfc3339),
            age: file.written.map(|written| age::since(written, node.now)),
        }
    }

    fn in_words(&self) -> String {
        let written = self.age.iter().map(|age| format!(", written {age} ago"));
        format!(
            "{} of {}, MTU {}, {}{}",
            self.subnets.join(", "),
            self.networks.join(", "),
            self.mtu,
            self.file,
            written.collect::<String>()
        )
    }
}

impl PluginView {
    fn of(binary: &Binary) -> Self {
        let (whose, reports) = match &binary.origin {
            Ok(Origin::ThisBuild) => ("this build", String::new()),
            Ok(Origin::Twill(reports)) => ("twill", reports.clone()),
            Ok(Origin::Other(reports)) => ("other", reports.clone()),
            Err(problem) => ("unknown", problem.to_string()),
        };
        Self {
            plugin_type: binary.name.clone(),
            file: binary.path.as_ref().map(|path| path.display().to_string()),
            whose,
            reports,
        }
    }

    fn cells(&self) -> [Cell<'_>; 3] {
        let (whose, style) = match self.whose {
            "this build" => (
                format!("twill {}, this build", env!("CARGO_PKG_VERSION")),
                Style::Good,
            ),
            "twill" => (format!("another build: {}", self.reports), Style::Warning),
            "other" => (self.reports.clone(), Style::Plain),
            _ => (self.reports.clone(), Style::Bad),
        };
        [
            self.plugin_type.as_str().into(),
            Cell::new(whose, style),
            self.file.as_deref().unwrap_or_default().into(),
        ]
    }
}

/// The bridges that networks are plugged into, and that exist.
fn bridges(node: &Node) -> Vec<BridgeView> {
    let Ok(links) = &node.links else {
        return Vec::new();
    };
    let mut names: Vec<String> = node.networks.iter().filter_map(Network::bridge).collect();
    names.sort();
    names.dedup();
    let found = names.iter().filter_map(|name| links.by_name(name));
    let found = found.filter(|it| matches!(it.link.kind, LinkKind::Bridge { .. }));
    let view = |it: &node::NodeLink| BridgeView {
        name: it.link.name.clone(),
        is_up: it.link.is_up,
        mac: it.link.mac.map(|mac| mac.to_string()),
        mtu: it.link.mtu,
        addresses: it.given_addresses().map(|it| it.to_string()).collect(),
        ports: links.ports_of(it.link.index).count(),
    };
    found.map(view).collect()
}

impl BridgeView {
    fn in_words(&self) -> String {
        let state = if self.is_up { "up" } else { "down" };
        format!(
            "{} is {state}, {}, MTU {}, {}",
            self.name,
            self.addresses.join(", "),
            self.mtu,
            count(self.ports, "port", "ports")
        )
    }
}

impl NetworkView {
    fn of(network: &Network) -> Self {
        let ranges = network.range_use().into_iter().map(|range| RangeView {
            range: range.set.to_string(),
            size: range.size,
            usage: network.is_read.then(|| UsageView {
                used: range.used,
                free: range.free(),
                dead: range.dead,
            }),
        });
        Self {
            name: network.name.to_string(),
            list: network.list.as_ref().map(|path| path.display().to_string()),
            data_dir: network.data_dir.display().to_string(),
            leases: network.is_read.then(|| States::of(network)),
            ranges: ranges.collect(),
            outside: network.outside().count(),
        }
    }

    /// A row per range; the first one has the leases by their state.
    fn rows<'a>(&'a self, table: &mut Table<'a>) {
        const UNREAD: &str = "?";
        let bad = |number: usize, style| {
            Cell::new(
                number.to_string(),
                if number > 0 { style } else { Style::Plain },
            )
        };
        let states = || match &self.leases {
            Some(states) => [
                Cell::from(states.alive.to_string()),
                bad(states.dead, Style::Bad),
                bad(states.unknown, Style::Warning),
            ],
            None => [UNREAD, UNREAD, UNREAD].map(Cell::from),
        };
        let mut is_first = true;
        let mut row = |cells: [Cell<'a>; 4]| {
            let is_first = std::mem::take(&mut is_first);
            let name = if is_first { self.name.as_str() } else { "" };
            let states = if is_first {
                states()
            } else {
                Default::default()
            };
            table.row([name.into()].into_iter().chain(cells).chain(states));
        };
        for range in &self.ranges {
            let usage = range.usage.as_ref();
            let [used, free] = usage.map_or([UNREAD, UNREAD].map(Cell::from), |usage| {
                [usage.used.to_string().into(), usage.free.to_string().into()]
            });
            let (range, size) = (range.range.as_str(), range.size.to_string());
            row([range.into(), size.into(), used, free]);
        }
        if self.ranges.is_empty() {
            let used = self.leases.as_ref().map(States::sum);
            let used = used.map_or_else(|| UNREAD.to_owned(), |used| used.to_string());
            row(["not known".into(), "".into(), used.into(), "".into()]);
        } else if self.outside > 0 {
            row([
                "in no range".into(),
                "".into(),
                self.outside.to_string().into(),
                "".into(),
            ]);
        }
    }
}

impl FirewallView {
    fn of(inventory: &Inventory) -> Self {
        let mut view = Self {
            tables: inventory.tables.clone(),
            ..Self::default()
        };
        for entry in &inventory.entries {
            *match entry.kind {
                EntryKind::Masqueraded(_) => &mut view.masqueraded,
                EntryKind::OnlyMac { .. } => &mut view.held_to_mac,
                EntryKind::Port {
                    is_waiting: false, ..
                } => &mut view.ports,
                EntryKind::Port {
                    is_waiting: true, ..
                } => &mut view.waiting,
            } += 1;
        }
        view
    }

    fn in_words(&self) -> String {
        if self.tables.is_empty() {
            return "no tables of Twill's".to_owned();
        }
        let mut words = vec![
            format!(
                "{} masqueraded",
                count(self.masqueraded, "address", "addresses")
            ),
            format!("{} mapped", count(self.ports, "port", "ports")),
        ];
        if self.held_to_mac > 0 {
            words.push(format!(
                "{} held to its MAC",
                count(self.held_to_mac, "port", "ports")
            ));
        }
        if self.waiting > 0 {
            let waiting = count(self.waiting, "mapping", "mappings");
            words.push(format!("{waiting} of ports that others have taken since"));
        }
        words.join(", ")
    }
}

/// A number with its noun.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
