//! An attachment as the command reports it.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use firewall::{AttachmentDigest, EntryKind};
use netlink::traffic::{Handle, QdiscKind};
use netlink::{Counters, LinkKind, Netns, Rtnetlink};
use node::{KeptConfs, KnownAttachment, Node, NodeLink};
use serde::Serialize;

use crate::lease_view::LeaseView;
use crate::table::{Cell, Style, Table};

/// An attachment as the command reports it; the fields are the keys of its JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View<'a> {
    network: &'a str,
    #[serde(rename = "containerID")]
    container_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ifname: Option<&'a str>,
    leases: Vec<LeaseView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<KeptView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<LinkView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<LinkView>,
    neighbours: Vec<NeighbourView>,
    masqueraded: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    only_mac: Option<String>,
    ports: Vec<PortView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress: Option<LimitView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    egress: Option<LimitView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct KeptView {
    file: String,
    #[serde(rename = "type")]
    plugin_type: String,
    failures: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    last_failure: String,
    conf: cni_types::json::Object,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkView {
    name: String,
    index: u32,
    kind: String,
    is_up: bool,
    mtu: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bridge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_forwarding: Option<bool>,
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counters: Option<CountersView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CountersView {
    received_packets: u64,
    received_bytes: u64,
    received_dropped: u64,
    sent_packets: u64,
    sent_bytes: u64,
    sent_dropped: u64,
}

#[derive(Debug, Serialize)]
struct NeighbourView {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    state: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PortView {
    protocol: &'static str,
    #[serde(rename = "hostIP", skip_serializing_if = "Option::is_none")]
    host_ip: Option<String>,
    host_port: u16,
    container_port: u16,
    target: String,
    is_waiting: bool,
    #[serde(skip)]
    in_words: String,
}

/// A limit as `bandwidth` is configured: bits per second, and bits.
#[derive(Debug, Serialize)]
struct LimitView {
    rate: u64,
    burst: u64,
}

impl<'a> View<'a> {
    pub(super) fn of(
        node: &'a Node,
        known: &'a KnownAttachment,
        mut kernel: Option<&mut Rtnetlink>,
    ) -> Self {
        let network = node.network(known.network.as_str());
        let leases = network.into_iter().flat_map(|network| &network.leases);
        let own = leases.filter(|lease| lease.owner.as_ref().is_ok_and(|owner| known.is(owner)));
        let node_end = node.node_end_of(known);
        let addresses = node.addresses_of(known);
        let mut view = Self {
            network: known.network.as_str(),
            container_id: known.container_id.as_str(),
            ifname: known.ifname.as_ref().map(|ifname| ifname.as_str()),
            leases: own
                .map(|lease| LeaseView::of(known.network.as_str(), lease))
                .collect(),
            kept: kept(node, known),
            link: None,
            inside: inside(node, known),
            neighbours: Vec::new(),
            masqueraded: Vec::new(),
            only_mac: None,
            ports: Vec::new(),
            ingress: None,
            egress: None,
        };
        if let (Some(it), Some(kernel)) = (node_end, kernel.as_mut()) {
            view.link = Some(LinkView::of_node(node, it, kernel));
            view.ingress = limit(kernel, it.link.index);
            if let Some(bridge) = it.link.master {
                let all = kernel.neighbours(bridge).unwrap_or_default();
                let own = all.into_iter().filter(|it| addresses.contains(&it.address));
                view.neighbours.extend(own.map(|it| NeighbourView {
                    address: it.address.to_string(),
                    mac: it.mac.map(|mac| mac.to_string()),
                    state: it.state.name(),
                }));
            }
        }
        if let (Some(ifb), Some(kernel)) = (node.ifb_of(known), kernel.as_mut()) {
            view.egress = limit(kernel, ifb.link.index);
        }
        view.take_rules(node, known);
        view
    }

    fn take_rules(&mut self, node: &Node, known: &KnownAttachment) {
        let (Some(attachment), Ok(firewall)) = (known.attachment(), &node.firewall) else {
            return;
        };
        let digest = AttachmentDigest::new(&known.network, &attachment);
        for entry in firewall.entries.iter().filter(|it| it.attachment == digest) {
            match &entry.kind {
                EntryKind::Masqueraded(address) => self.masqueraded.push(address.to_string()),
                EntryKind::OnlyMac { mac, .. } => self.only_mac = Some(mac.to_string()),
                EntryKind::Port {
                    mapping,
                    target,
                    is_waiting,
                } => self.ports.push(PortView {
                    protocol: mapping.protocol.name(),
                    host_ip: mapping.host_ip.map(|ip| ip.to_string()),
                    host_port: mapping.host_port,
                    container_port: mapping.container_port,
                    target: target.to_string(),
                    is_waiting: *is_waiting,
                    in_words: mapping.to_string(),
                }),
            }
        }
        self.ports
            .sort_by_key(|port| (port.protocol, port.host_port));
        self.masqueraded.sort();
    }

    pub(super) fn table(&self) -> Table<'_> {
        let mut table = Table::new(["", ""]);
        let mut row = |what: &'static str, text: String| {
            table.row([Cell::new(what, Style::Bold), text.into()]);
        };
        let ifname = self.ifname.unwrap_or("unknown");
        let (container_id, network) = (self.container_id, self.network);
        row(
            "container",
            format!("{container_id}, interface {ifname}, network {network}"),
        );
        for lease in &self.leases {
            row("lease", lease.in_words());
        }
        if self.leases.is_empty() {
            row("lease", "none".to_owned());
        }
        if let Some(kept) = &self.kept {
            row("kept", kept.in_words());
        }
        if let Some(link) = &self.link {
            row("link", link.in_words());
            row("", link.counters_in_words());
        }
        if let Some(inside) = &self.inside {
            row("inside", inside.in_words());
            row("", inside.counters_in_words());
        }
        for NeighbourView {
            address,
            mac,
            state,
        } in &self.neighbours
        {
            let mac = mac.as_deref().unwrap_or("no MAC");
            row("neighbour", format!("{address} is {mac}: {state}"));
        }
        if !self.masqueraded.is_empty() {
            row("masqueraded", self.masqueraded.join(", "));
        }
        if let Some(mac) = &self.only_mac {
            row("only MAC", mac.clone());
        }
        for port in &self.ports {
            let waiting = if port.is_waiting {
                ", which another container has taken since"
            } else {
                ""
            };
            let target = SocketAddr::new(
                port.target.parse().unwrap_or(IpAddr::from([0, 0, 0, 0])),
                port.container_port,
            );
            row(
                "port",
                format!("{} leads to {target}{waiting}", port.in_words),
            );
        }
        if let Some(limit) = &self.ingress {
            row("receives", limit.in_words());
        }
        if let Some(limit) = &self.egress {
            row("sends", limit.in_words());
        }
        table
    }
}

fn kept(node: &Node, known: &KnownAttachment) -> Option<KeptView> {
    let files = node
        .kept
        .iter()
        .flat_map(|kept: &KeptConfs| kept.files.iter().flatten());
    let mut own = files.filter_map(|file| {
        let kept = file.kept.as_ref()?;
        let is_own = kept.network.as_ref() == Some(&known.network)
            && known.is_of(&kept.container_id, kept.ifname.as_ref());
        is_own.then(|| KeptView {
            file: file.path.display().to_string(),
            plugin_type: kept.plugin_type.to_string(),
            failures: kept.failures,
            last_failure: kept.last_failure.clone(),
            conf: (*kept.conf).clone(),
        })
    });
    own.next()
}

/// The container's own link, with its counters.
fn inside(node: &Node, known: &KnownAttachment) -> Option<LinkView> {
    let sighting = node.sightings_of(known).into_iter().next()?;
    let mut found = node
        .namespaces
        .iter()
        .flat_map(|namespaces| &namespaces.found);
    let namespace = found.find(|namespace| namespace.path == sighting.netns)?;
    let link = namespace.links.by_name(&sighting.link)?;
    let mut view = LinkView::of(link);
    view.sandbox = Some(namespace.path.display().to_string());
    view.counters = counters_in(&namespace.path, link.link.index);
    Some(view)
}

fn counters_in(netns: &Path, link: u32) -> Option<CountersView> {
    let netns = Netns::open(netns).ok()?;
    let mut kernel = Rtnetlink::open_in(&netns, &Netns::current().ok()?).ok()?;
    kernel.counters(link).ok()?.map(CountersView::of)
}

/// The limit at the root of a link. A `htb` of Go's or ours has its class 1.
fn limit(kernel: &mut Rtnetlink, link: u32) -> Option<LimitView> {
    let root = kernel.qdisc(link, Handle::ROOT).ok()??;
    let bucket = match root.kind {
        QdiscKind::Tbf(bucket) => bucket,
        QdiscKind::Htb => kernel.class(link, root.handle.class(1)).ok()??.bucket,
        _ => return None,
    };
    Some(LimitView {
        rate: bucket.rate.saturating_mul(8),
        burst: bucket.burst().saturating_mul(8),
    })
}

impl LinkView {
    fn of(it: &NodeLink) -> Self {
        Self {
            name: it.link.name.clone(),
            index: it.link.index,
            kind: it.link.kind.name().to_owned(),
            is_up: it.link.is_up,
            mtu: it.link.mtu,
            mac: it.link.mac.map(|mac| mac.to_string()),
            addresses: it.given_addresses().map(|it| it.to_string()).collect(),
            ..Self::default()
        }
    }

    fn of_node(node: &Node, it: &NodeLink, kernel: &mut Rtnetlink) -> Self {
        let links = node.links.as_ref().ok();
        let bridge = it.link.master.and_then(|master| links?.by_index(master));
        let bridge = bridge.filter(|it| matches!(it.link.kind, LinkKind::Bridge { .. }));
        Self {
            bridge: bridge.map(|it| it.link.name.clone()),
            is_forwarding: it.link.port.map(|port| port.is_forwarding),
            counters: kernel
                .counters(it.link.index)
                .ok()
                .flatten()
                .map(CountersView::of),
            ..Self::of(it)
        }
    }

    fn in_words(&self) -> String {
        let mut words = vec![match &self.sandbox {
            Some(sandbox) => format!("{} in {sandbox}", self.name),
            None => self.name.clone(),
        }];
        words.push(if self.is_up { "up" } else { "down" }.to_owned());
        if let Some(bridge) = &self.bridge {
            words.push(match self.is_forwarding {
                Some(false) => format!("port of {bridge} that does not forward"),
                _ => format!("port of {bridge}"),
            });
        }
        words.extend(self.mac.clone());
        words.extend(self.addresses.iter().cloned());
        words.push(format!("MTU {}", self.mtu));
        words.join(", ")
    }

    fn counters_in_words(&self) -> String {
        self.counters.as_ref().map_or_else(String::new, |it| {
            format!(
                "received {} packets ({} bytes, {} dropped), sent {} ({} bytes, {} dropped)",
                it.received_packets,
                it.received_bytes,
                it.received_dropped,
                it.sent_packets,
                it.sent_bytes,
                it.sent_dropped
            )
        })
    }
}

impl CountersView {
    fn of(counters: Counters) -> Self {
        Self {
            received_packets: counters.received_packets,
            received_bytes: counters.received_bytes,
            received_dropped: counters.received_dropped,
            sent_packets: counters.sent_packets,
            sent_bytes: counters.sent_bytes,
            sent_dropped: counters.sent_dropped,
        }
    }
}

impl KeptView {
    fn in_words(&self) -> String {
        let failed = match self.failures {
            0 => String::new(),
            failures => format!(
                ", with which {failures} calls failed: {}",
                self.last_failure
            ),
        };
        format!("{} for {}{failed}", self.file, self.plugin_type)
    }
}

impl LimitView {
    fn in_words(&self) -> String {
        format!(
            "at most {} bit/s, in bursts of {} bits",
            self.rate, self.burst
        )
    }
}
