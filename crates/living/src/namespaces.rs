//! The network namespaces of a node, and the addresses in them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;

use netlink::{Family, Link, NetlinkError, Netns, NetnsError, Rtnetlink, mounted};

use crate::processes::Processes;
use crate::{LivingError, Subject};

/// What the alias of a link of Twill's starts with.
const MARKED: &str = "twill/";

/// A network namespace other than the node's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Where it can be opened: below `/proc`, or where it is mounted.
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
    /// The namespaces with a link that has an alias of Twill's: ipvlan and macvlan have.
    by_alias: HashMap<String, usize>,
    /// The aliases of Twill's links on the node: the pairs' ends have.
    on_node: HashSet<String>,
}

impl Namespaces {
    /// Enters each namespace, and lists its links and addresses.
    ///
    /// # Errors
    /// [`LivingError::Netns`] if the process must not enter other namespaces;
    /// [`LivingError::Netlink`].
    pub fn read() -> Result<Self, LivingError> {
        // Another process that looks must not take this one for a container's: what counts is the
        // namespace of a process's first thread.
        let looking = thread::spawn(Self::read_on_this_thread);
        looking.join().unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn read_on_this_thread() -> Result<Self, LivingError> {
        let processes = Processes::read_residents();
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
        let mut found: HashMap<u64, Namespace> = HashMap::new();
        for (number, path) in mounted(&mounts) {
            let namespace = Namespace {
                path,
                has_process: false,
            };
            found.entry(number).or_insert(namespace);
        }
        for (number, path) in processes.others() {
            let namespace = found.entry(number).or_insert(Namespace {
                path,
                has_process: true,
            });
            namespace.has_process = true;
        }
        let mut all = Self::default();
        let home = Netns::current()?;
        let links = Rtnetlink::open()?.links()?;
        // A pair with both ends on the node leads to no container.
        let leads_away = |link: &Link| link.parent.is_some_and(|parent| parent.netns.is_some());
        let links = links.into_iter().filter(leads_away);
        all.on_node = links.filter_map(marked).collect();
        for (number, namespace) in found {
            if Some(number) != processes.own() {
                all.look_into(namespace, &home)?;
            }
        }
        Ok(all)
    }

    fn look_into(&mut self, namespace: Namespace, home: &Netns) -> Result<(), LivingError> {
        let opened = Netns::open(&namespace.path)
            .map_err(NetlinkError::from)
            .and_then(|netns| Rtnetlink::open_in(&netns, home));
        let mut kernel = match opened {
            Ok(kernel) => kernel,
            // It is gone by now, or the mount point is covered by another mount.
            Err(NetlinkError::Netns(NetnsError::NotFound(_) | NetnsError::NotANetns(_))) => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let index = self.all.len();
        for link in kernel.links()? {
            let addresses = match kernel.addresses(link.index, None::<Family>) {
                Ok(addresses) => addresses,
                // The link may be gone by now.
                Err(NetlinkError::Refused { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            for address in addresses {
                let places = self.by_address.entry(address.network.ip()).or_default();
                places.push((index, link.name.clone()));
            }
            self.by_alias
                .extend(marked(link).map(|alias| (alias, index)));
        }
        self.all.push(namespace);
        Ok(())
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

    /// What shows that the namespace of an attachment exists: `namespace /run/netns/x has its
    /// interface`. An end of a pair exists as long as the other one does.
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

/// The alias of a link of Twill's.
fn marked(link: Link) -> Option<String> {
    link.alias.filter(|alias| alias.starts_with(MARKED))
}
