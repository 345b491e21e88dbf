//! The node as the command reports it.

use firewall::{EntryKind, Inventory};
use ipnetwork::IpNetwork;
use netlink::LinkKind;
use node::{Binary, LeaseFile, Network, Node, NodeLink, Origin};
use serde::Serialize;

use crate::age;
use crate::faults::{Examined, FaultView};
use crate::states::States;
use crate::table::{Cell, Style, Table};

/// The command's report; the fields are the keys of its JSON.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lease: Option<SubnetLeaseView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) list: Option<ListView>,
    pub(super) plugins: Vec<PluginView>,
    pub(super) bridges: Vec<BridgeView>,
    pub(super) networks: Vec<NetworkView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) firewall: Option<FirewallView>,
    pub(super) problems: Vec<FaultView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SubnetLeaseView {
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
pub(super) struct ListView {
    pub(super) file: String,
    pub(super) network: String,
}

#[derive(Debug, Serialize)]
pub(super) struct PluginView {
    #[serde(rename = "type")]
    plugin_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    whose: Whose,
    #[serde(skip_serializing_if = "String::is_empty")]
    reports: String,
}

/// The project, or the build, that a plugin's file is of.
#[derive(Clone, Copy, Debug, Serialize)]
enum Whose {
    #[serde(rename = "this build")]
    ThisBuild,
    #[serde(rename = "twill")]
    OtherBuild,
    #[serde(rename = "other")]
    Others,
    #[serde(rename = "unknown")]
    Unknown,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BridgeView {
    name: String,
    is_up: bool,
    mac: Option<String>,
    mtu: u32,
    addresses: Vec<String>,
    ports: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NetworkView {
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
pub(super) struct FirewallView {
    tables: Vec<String>,
    masqueraded: usize,
    held_to_mac: usize,
    ports: usize,
    waiting: usize,
}

impl Status {
    pub(super) fn of(examined: Examined) -> Self {
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
}

impl SubnetLeaseView {
    fn of(file: &LeaseFile, node: &Node) -> Self {
        let texts = |networks: &[IpNetwork]| networks.iter().map(ToString::to_string).collect();
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

    pub(super) fn in_words(&self) -> String {
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
            Ok(Origin::ThisBuild) => (Whose::ThisBuild, String::new()),
            Ok(Origin::Twill(reports)) => (Whose::OtherBuild, reports.clone()),
            Ok(Origin::Other(reports)) => (Whose::Others, reports.clone()),
            Err(problem) => (Whose::Unknown, problem.to_string()),
        };
        Self {
            plugin_type: binary.name.clone(),
            file: binary.path.as_ref().map(|path| path.display().to_string()),
            whose,
            reports,
        }
    }

    pub(super) fn cells(&self) -> [Cell<'_>; 3] {
        let (whose, style) = match self.whose {
            Whose::ThisBuild => (
                format!("twill {}, this build", env!("CARGO_PKG_VERSION")),
                Style::Good,
            ),
            Whose::OtherBuild => (format!("another build: {}", self.reports), Style::Warning),
            Whose::Others => (self.reports.clone(), Style::Plain),
            Whose::Unknown => (self.reports.clone(), Style::Bad),
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
    let view = |it: &NodeLink| BridgeView {
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
    pub(super) fn in_words(&self) -> String {
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
    pub(super) fn rows<'a>(&'a self, table: &mut Table<'a>) {
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

    pub(super) fn in_words(&self) -> String {
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
