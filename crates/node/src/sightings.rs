//! The links of containers, and what these show about the attachment that holds an address.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;

use allocator::{Age, Owner};
use cni_types::{Attachment, NetworkName};
use container_link::LinkAlias;
use netlink::{LinkKind, Parent};

use crate::life::{Death, Doubt, Evidence, Life, LinkPlace, Sighting};
use crate::{ContainerNamespace, ContainerNamespaces, NodeLink, NodeLinks, Part};

/// The links of containers, indexed by address and by alias.
#[derive(Clone, Debug, Default)]
pub struct Sightings {
    by_address: HashMap<IpAddr, Vec<Rc<Sighting>>>,
    by_alias: HashMap<String, Evidence>,
    /// The key is the part of the alias before the interface.
    by_container: HashMap<String, Evidence>,
    doubt: Option<Doubt>,
}

impl Sightings {
    /// Collects the links of containers. A part that could not be read becomes a doubt.
    pub fn of(node: &Part<NodeLinks>, namespaces: &Part<ContainerNamespaces>) -> Self {
        let mut all = Self::default();
        let empty = NodeLinks::default();
        let links = node.as_ref().unwrap_or_else(|problem| {
            all.doubt = Some(Doubt::Unread(problem.as_str().into()));
            &empty
        });
        for link in links.iter() {
            all.note_alias(link, None);
        }
        match namespaces {
            Err(problem) => all.doubt = Some(Doubt::Unread(problem.as_str().into())),
            Ok(namespaces) => {
                for namespace in &namespaces.found {
                    all.note_namespace(links, namespace);
                }
                if let Some(problem) = namespaces.problems().next() {
                    all.doubt = Some(Doubt::Unread(problem.as_str().into()));
                }
                let hidden = hidden_end(links, namespaces);
                all.doubt = all
                    .doubt
                    .or(hidden.map(|name| Doubt::HiddenEnd(name.into())));
            }
        }
        all
    }

    /// The links of containers that have an address.
    pub fn of_address(&self, address: IpAddr) -> &[Rc<Sighting>] {
        self.by_address.get(&address).map_or(&[], Vec::as_slice)
    }

    /// All addresses that are on links of containers, with these links.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, &[Rc<Sighting>])> {
        let all = self.by_address.iter();
        all.map(|(address, sightings)| (*address, sightings.as_slice()))
    }

    /// The reason why an attachment of which no link was found may be alive nevertheless.
    pub fn doubt(&self) -> Option<&Doubt> {
        self.doubt.as_ref()
    }

    /// Whether an owner of a network's address is alive.
    pub fn judge(&self, network: &NetworkName, owner: &Owner, address: IpAddr, age: Age) -> Life {
        let (own, is_own) = self.alias_of(network, owner);
        let mut elsewhere = None;
        for sighting in self.of_address(address) {
            match &sighting.alias {
                Some(alias) if !is_own(alias) => elsewhere = Some(Rc::clone(sighting)),
                _ => return Life::Alive(Evidence::Address(Rc::clone(sighting))),
            }
        }
        if let Some(evidence) = own {
            return Life::Alive(evidence.clone());
        }
        if let Some(sighting) = elsewhere {
            return Life::Dead(Death::Elsewhere(sighting));
        }
        if age == Age::EarlierBoot {
            return Life::Dead(Death::EarlierBoot);
        }
        match &self.doubt {
            Some(doubt) => Life::Unknown(doubt.clone()),
            None => Life::Dead(Death::NoLink),
        }
    }

    /// The link with the owner's alias, if there is one, and whether an alias is the owner's.
    fn alias_of(
        &self,
        network: &NetworkName,
        owner: &Owner,
    ) -> (Option<&Evidence>, impl Fn(&str) -> bool + use<>) {
        let of_container = format!("{}{network}/{}", LinkAlias::PREFIX, owner.container_id);
        let alias = owner.ifname.as_ref().map(|ifname| {
            let attachment = Attachment {
                container_id: owner.container_id.clone(),
                ifname: ifname.clone(),
            };
            LinkAlias::new(network, &attachment).as_str().to_owned()
        });
        let found = match &alias {
            Some(alias) => self.by_alias.get(alias),
            None => self.by_container.get(&of_container),
        };
        let is_own = move |other: &str| match &alias {
            Some(alias) => alias == other,
            None => before_interface(other) == Some(of_container.as_str()),
        };
        (found, is_own)
    }

    fn note_alias(&mut self, it: &NodeLink, netns: Option<&PathBuf>) {
        let Some(alias) = it.own_alias() else { return };
        // An ifb, which limits a pair's traffic, may outlive the pair.
        if matches!(&it.link.kind, LinkKind::Other(kind) if kind == "ifb") {
            return;
        }
        let evidence = Evidence::Link(Rc::new(LinkPlace {
            name: it.link.name.clone(),
            netns: netns.cloned(),
        }));
        if let Some(container) = before_interface(alias) {
            self.by_container
                .insert(container.to_owned(), evidence.clone());
        }
        self.by_alias.insert(alias.to_owned(), evidence);
    }

    fn note_namespace(&mut self, node: &NodeLinks, namespace: &ContainerNamespace) {
        for it in namespace.links.iter() {
            let Some(end) = end_of(node, namespace, it) else {
                continue;
            };
            self.note_alias(it, Some(&namespace.path));
            let node_end = match end {
                End::OfPair(node_end) => Some(node_end),
                End::Other => None,
            };
            let alias = it.own_alias().or(node_end.and_then(NodeLink::own_alias));
            for address in &it.addresses {
                let ip = address.network.ip();
                if is_everybodys(ip) {
                    continue;
                }
                let sighting = Rc::new(Sighting {
                    address: address.network,
                    netns: namespace.path.clone(),
                    link: it.link.name.clone(),
                    mac: it.link.mac,
                    node_end: node_end.map(|node_end| node_end.link.index),
                    alias: alias.map(str::to_owned),
                });
                self.by_address.entry(ip).or_default().push(sighting);
            }
        }
    }
}

/// The connection of a container's link to the node.
enum End<'a> {
    /// It is one end of a pair, and this is the other.
    OfPair(&'a NodeLink),
    /// It belongs to one of the node's links, or to none.
    Other,
}

/// How a link of a container is connected to the node; `None` if it is not: containers can have
/// containers of their own, with the same addresses.
fn end_of<'a>(
    node: &'a NodeLinks,
    namespace: &ContainerNamespace,
    it: &NodeLink,
) -> Option<End<'a>> {
    let leads_to_node =
        |parent: &Parent| parent.netns.is_some() && parent.netns == namespace.number_of_node;
    match (&it.link.kind, it.link.parent) {
        (LinkKind::Veth, parent) => {
            let peer = node.by_index(parent.filter(leads_to_node)?.index)?;
            let back = Parent {
                index: it.link.index,
                netns: namespace.number,
            };
            (peer.link.parent == Some(back)).then_some(End::OfPair(peer))
        }
        (LinkKind::Ipvlan(_) | LinkKind::Macvlan(_) | LinkKind::Vlan(_), Some(parent)) => {
            // With `linkInContainer`, the parent is in the container, and counts as connected.
            let is_inside = parent.netns.is_none();
            (is_inside || leads_to_node(&parent)).then_some(End::Other)
        }
        // A device that was moved into the container.
        (LinkKind::Device, _) if it.link.name != "lo" => Some(End::Other),
        _ => None,
    }
}

/// A pair's end on the node that has no alias of Twill's, and whose other end is in no namespace
/// that was found.
fn hidden_end(node: &NodeLinks, namespaces: &ContainerNamespaces) -> Option<String> {
    let numbers = namespaces
        .found
        .iter()
        .filter_map(|namespace| namespace.number);
    let numbers: HashSet<i32> = numbers.collect();
    let is_hidden = |it: &&NodeLink| {
        let leads_to = it.link.parent.and_then(|parent| parent.netns);
        it.link.kind == LinkKind::Veth
            && leads_to.is_some_and(|number| !numbers.contains(&number))
            && it.own_alias().is_none()
    };
    node.iter().find(is_hidden).map(|it| it.link.name.clone())
}

/// The part of an alias before the interface; `None` if the alias contains a digest because the
/// names are long.
fn before_interface(alias: &str) -> Option<&str> {
    Some(alias.rsplit_once('/')?.0)
}

/// Whether every link, or every namespace, has this address.
fn is_everybodys(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ipnetwork::IpNetwork;
    use netlink::{Given, Link, LinkAddress, Netns, OperState};

    use super::*;
    use crate::Problem;

    /// The number by which containers know the node's namespace.
    const NODE: i32 = 0;

    fn link(
        index: u32,
        name: &str,
        kind: LinkKind,
        parent: Option<(u32, Option<i32>)>,
    ) -> NodeLink {
        NodeLink {
            link: Link {
                index,
                name: name.to_owned(),
                alias: None,
                kind,
                mac: None,
                mtu: 1500,
                master: None,
                port: None,
                is_up: true,
                state: OperState::Up,
                is_promiscuous: false,
                parent: parent.map(|(index, netns)| Parent { index, netns }),
                accept_ra: None,
                is_ipv6_off: false,
                is_ipv4_forwarding_off: false,
            },
            addresses: Vec::new(),
        }
    }

    fn alias(mut it: NodeLink, alias: &str) -> NodeLink {
        it.link.alias = Some(alias.to_owned());
        it
    }

    fn address(mut it: NodeLink, address: &str) -> NodeLink {
        let network: IpNetwork = address.parse().unwrap();
        it.addresses.push(LinkAddress {
            network,
            given: Given::plain(network),
            is_tentative: false,
            is_duplicate: false,
        });
        it
    }

    fn namespace(name: &str, number: Option<i32>, links: Vec<NodeLink>) -> ContainerNamespace {
        ContainerNamespace {
            path: Path::new("/run/netns").join(name),
            id: Netns::current().unwrap().id(),
            has_process: false,
            number,
            number_of_node: number.map(|_| NODE),
            links: links.into_iter().collect(),
        }
    }

    fn sightings(node: Vec<NodeLink>, found: Vec<ContainerNamespace>) -> Sightings {
        let namespaces = ContainerNamespaces {
            found,
            ..ContainerNamespaces::default()
        };
        Sightings::of(&Ok(node.into_iter().collect()), &Ok(namespaces))
    }

    /// The life of the lease of `c1 eth0` in `net`, with the reason.
    fn judged(sightings: &Sightings, owner: &str, age: Age) -> String {
        let owner = Owner::parse(owner.as_bytes()).unwrap();
        let address = "10.1.1.2".parse().unwrap();
        match sightings.judge(&"net".parse().unwrap(), &owner, address, age) {
            Life::Alive(why) => format!("alive: {why}"),
            Life::Dead(why) => format!("dead: {why}"),
            Life::Unknown(why) => format!("unknown: {why}"),
        }
    }

    const OWNER: &str = "c1\r\neth0";

    fn of_owner(sightings: &Sightings) -> String {
        judged(sightings, OWNER, Age::ThisBoot)
    }

    /// Both ends of a pair: link 5 of the node, and link 2 of the namespace with the number 7.
    fn pair() -> (NodeLink, NodeLink) {
        (
            link(5, "veth5", LinkKind::Veth, Some((2, Some(7)))),
            link(2, "eth0", LinkKind::Veth, Some((5, Some(NODE)))),
        )
    }

    #[test]
    fn an_address_on_a_pair_is_alive_whichever_plugin_created_the_pair() {
        let (outer, inner) = pair();
        let inner = address(inner, "10.1.1.2/24");
        let alive = "alive: on eth0 in /run/netns/a";
        for outer in [outer.clone(), alias(outer, "twill/net/c1/eth0")] {
            let found = vec![namespace("a", Some(7), vec![inner.clone()])];
            let all = sightings(vec![outer], found);
            assert_eq!(of_owner(&all), alive);
            assert_eq!(judged(&all, OWNER, Age::EarlierBoot), alive);
            assert_eq!(judged(&all, "c1", Age::ThisBoot), alive);
        }
    }

    #[test]
    fn a_lease_whose_address_is_on_another_attachments_link_is_dead() {
        let (outer, inner) = pair();
        let outer = alias(outer, "twill/net/c2/eth0");
        let inner = address(inner, "10.1.1.2/24");
        let all = sightings(vec![outer], vec![namespace("a", Some(7), vec![inner])]);
        let dead = "dead: on eth0 in /run/netns/a, which is twill/net/c2/eth0's";
        assert_eq!(of_owner(&all), dead);
        assert_eq!(judged(&all, OWNER, Age::EarlierBoot), dead);
        assert_eq!(
            judged(&all, "c2\r\neth0", Age::ThisBoot),
            "alive: on eth0 in /run/netns/a"
        );
        // Older versions recorded no interface.
        assert_eq!(
            judged(&all, "c2", Age::ThisBoot),
            "alive: on eth0 in /run/netns/a"
        );
        assert_eq!(judged(&all, "c1", Age::ThisBoot), dead);
    }

    #[test]
    fn only_links_that_lead_to_the_node_count() {
        let (outer, inner) = pair();
        let inner = address(inner, "10.1.1.2/24");
        // The namespace is another than that which the node's end leads to: a container's own
        // container, whose pair has the same indexes.
        let all = sightings(
            vec![outer.clone()],
            vec![
                namespace("a", Some(7), vec![]),
                namespace("b", Some(8), vec![inner.clone()]),
                namespace("c", None, vec![inner.clone()]),
            ],
        );
        assert_eq!(of_owner(&all), "dead: on no link");
        // The node's end leads to another link.
        let mut other = outer;
        other.link.parent = Some(Parent {
            index: 3,
            netns: Some(7),
        });
        let all = sightings(vec![other], vec![namespace("a", Some(7), vec![inner])]);
        assert_eq!(of_owner(&all), "dead: on no link");
    }

    #[test]
    fn an_ipvlan_or_macvlan_is_known_by_its_parent_and_its_alias() {
        for kind in [LinkKind::Ipvlan(None), LinkKind::Macvlan(None)] {
            let own = link(2, "eth0", kind.clone(), Some((9, Some(NODE))));
            let with_address = address(own.clone(), "10.1.1.2/24");
            let all = sightings(vec![], vec![namespace("a", Some(7), vec![with_address])]);
            assert_eq!(of_owner(&all), "alive: on eth0 in /run/netns/a");
            // Without its address, the alias says that the attachment exists.
            let own = alias(own, "twill/net/c1/eth0");
            let all = sightings(vec![], vec![namespace("a", Some(7), vec![own])]);
            assert_eq!(
                of_owner(&all),
                "alive: link eth0 in /run/netns/a is its own"
            );
            // The parent is in some other namespace.
            let foreign = address(link(2, "eth0", kind, Some((9, Some(3)))), "10.1.1.2/24");
            let all = sightings(vec![], vec![namespace("a", Some(7), vec![foreign])]);
            assert_eq!(of_owner(&all), "dead: on no link");
        }
    }

    #[test]
    fn the_nodes_end_of_its_pair_shows_that_an_attachment_is_alive() {
        let (outer, _) = pair();
        let outer = alias(outer, "twill/net/c1/eth0");
        let all = sightings(vec![outer], vec![]);
        assert_eq!(of_owner(&all), "alive: link veth5 of the node is its own");
        assert_eq!(
            judged(&all, "c1", Age::ThisBoot),
            "alive: link veth5 of the node is its own"
        );
        assert_eq!(
            judged(&all, "c2\r\neth0", Age::ThisBoot),
            "dead: on no link"
        );
        // An ifb may outlive the pair.
        let ifb = alias(
            link(6, "ifb6", LinkKind::Other("ifb".to_owned()), None),
            "twill/net/c1/eth0",
        );
        assert_eq!(of_owner(&sightings(vec![ifb], vec![])), "dead: on no link");
    }

    #[test]
    fn unread_links_make_a_lease_unknown_unless_it_is_from_an_earlier_boot() {
        let (outer, _) = pair();
        let hidden = sightings(vec![outer.clone()], vec![]);
        let doubt = "unknown: veth5 leads to a namespace that was not found";
        assert_eq!(of_owner(&hidden), doubt);
        let dead = "dead: given in an earlier boot, and on no link";
        assert_eq!(judged(&hidden, OWNER, Age::EarlierBoot), dead);
        // Another attachment's pair does not have the address.
        let others = alias(outer, "twill/net/c2/eth0");
        assert_eq!(
            of_owner(&sightings(vec![others], vec![])),
            "dead: on no link"
        );

        let problem = || Problem::of("no permission");
        let unread = ContainerNamespaces {
            unread: vec![problem()],
            ..ContainerNamespaces::default()
        };
        let hidden = ContainerNamespaces {
            hidden: Some(problem()),
            ..ContainerNamespaces::default()
        };
        for (node, namespaces) in [
            (Err(problem()), Ok(ContainerNamespaces::default())),
            (Ok(NodeLinks::default()), Err(problem())),
            (Ok(NodeLinks::default()), Ok(unread)),
            (Ok(NodeLinks::default()), Ok(hidden)),
        ] {
            let all = Sightings::of(&node, &namespaces);
            assert_eq!(of_owner(&all), "unknown: no permission");
            assert_eq!(judged(&all, OWNER, Age::EarlierBoot), dead);
        }
    }
}
