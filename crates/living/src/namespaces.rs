//! The namespaces of containers, by the addresses and aliases of the links in them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use node::{ContainerNamespaces, NodeLink, NodeLinks, Part, Paths};

use crate::{LivingError, Subject};

/// A network namespace other than the node's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// A path that opens it: below `/proc`, or a mount point.
    pub path: PathBuf,
    /// Whether a process runs in it.
    pub has_process: bool,
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// The network namespaces of a node that are not its own: those in which processes run, and those
/// that are mounted somewhere.
#[derive(Debug, Default)]
pub struct Namespaces {
    all: Vec<Namespace>,
    /// The namespaces whose links have an address. Two may have the same.
    by_address: HashMap<IpAddr, Vec<(usize, String)>>,
    /// The namespaces with a link that has one of Twill's aliases, as an ipvlan and a macvlan do.
    by_alias: HashMap<String, usize>,
    /// The aliases of Twill's links on the node, which are ends of pairs.
    on_node: HashSet<String>,
}

impl Namespaces {
    /// Reads the node's links, and the namespaces.
    ///
    /// # Errors
    /// [`LivingError::Unread`] if there is a namespace that cannot be looked into.
    pub fn read() -> Result<Self, LivingError> {
        let links = NodeLinks::of_node();
        Self::new(&links, &ContainerNamespaces::read(&Paths::default()))
    }

    /// As [`Namespaces::read`], without the namespaces of processes that cannot be looked at: the
    /// caller knows that these do not matter.
    ///
    /// # Errors
    /// As [`Namespaces::read`].
    pub fn read_visible() -> Result<Self, LivingError> {
        let mut found = ContainerNamespaces::read(&Paths::default());
        if let Ok(found) = &mut found {
            found.hidden = None;
        }
        Self::new(&NodeLinks::of_node(), &found)
    }

    /// Indexes links and namespaces that were read before.
    ///
    /// # Errors
    /// As [`Namespaces::read`].
    pub fn new(
        node: &Part<NodeLinks>,
        namespaces: &Part<ContainerNamespaces>,
    ) -> Result<Self, LivingError> {
        let unread = |problem: &node::Problem| LivingError::Unread(problem.clone());
        let node = node.as_ref().map_err(unread)?;
        let namespaces = namespaces.as_ref().map_err(unread)?;
        if let Some(problem) = namespaces.problems().next() {
            return Err(unread(problem));
        }
        let mut all = Self::default();
        // A pair with both ends on the node leads to no container.
        let leads_away = |it: &&NodeLink| it.link.parent.is_some_and(|it| it.netns.is_some());
        let links = node.iter().filter(leads_away);
        all.on_node = links
            .filter_map(NodeLink::own_alias)
            .map(str::to_owned)
            .collect();
        for (index, namespace) in namespaces.found.iter().enumerate() {
            for it in namespace.links.iter() {
                for address in &it.addresses {
                    let places = all.by_address.entry(address.network.ip()).or_default();
                    places.push((index, it.link.name.clone()));
                }
                let alias = it.own_alias().map(|alias| (alias.to_owned(), index));
                all.by_alias.extend(alias);
            }
            all.all.push(Namespace {
                path: namespace.path.clone(),
                has_process: namespace.has_process,
            });
        }
        Ok(all)
    }

    /// The namespace that has an attachment's interface: a link with the attachment's alias, or
    /// with its interface name and one of its addresses. One with a process comes first.
    pub fn of(&self, subject: Subject<'_>) -> Option<&Namespace> {
        let Subject {
            owner,
            addresses,
            alias,
        } = subject;
        let by_alias = alias.and_then(|alias| self.by_alias.get(alias));
        let is_own = |name: &str| owner.ifname.as_ref().is_none_or(|own| own.as_str() == name);
        let places = addresses.iter().filter_map(|it| self.by_address.get(it));
        let by_address = places.flatten().filter(|(_, name)| is_own(name));
        let found = by_address.map(|(index, _)| index).chain(by_alias);
        let found = found.filter_map(|index| self.all.get(*index));
        found.max_by_key(|namespace| namespace.has_process)
    }

    /// The evidence that the namespace of an attachment exists, as a text: `namespace /run/netns/x
    /// has its interface`. The ends of a veth pair only exist together, so the node's end is
    /// evidence too.
    pub(crate) fn trace_of(&self, subject: Subject<'_>) -> Option<String> {
        if let Some(namespace) = self.of(subject) {
            return Some(format!("namespace {namespace} has its interface"));
        }
        let alias = subject
            .alias
            .filter(|alias| self.on_node.contains(*alias))?;
        Some(format!("its link with the alias {alias} exists"))
    }

    /// The namespaces in which a link has an address, each with the name of the link.
    pub fn with_address(&self, address: IpAddr) -> Vec<(&Namespace, &str)> {
        let places = self.by_address.get(&address).into_iter().flatten();
        let found = places.filter_map(|(index, name)| Some((self.all.get(*index)?, name.as_str())));
        found.collect()
    }
}
