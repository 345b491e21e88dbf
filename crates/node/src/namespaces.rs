//! The network namespaces of containers, and the links in them.
//!
//! A namespace is found where runtimes name it ([`Paths::netns_dirs`]) and by the processes in it.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use netlink::{Netns, NetnsError, NetnsId, Rtnetlink, mounted};

use crate::{NodeLinks, Part, Paths, Problem};

/// A namespace that is not the node's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerNamespace {
    /// A path that leads to it.
    pub path: PathBuf,
    /// The number that the node's namespace knows it by, if a link leads there.
    pub number: Option<i32>,
    /// The number that it knows the node's namespace by, if a link leads back.
    pub number_of_node: Option<i32>,
    /// Its links.
    pub links: NodeLinks,
}

/// The namespaces of containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerNamespaces {
    /// Those that could be looked into.
    pub found: Vec<ContainerNamespace>,
    /// Why others could not.
    pub unread: Vec<Problem>,
}

impl ContainerNamespaces {
    /// Looks into all namespaces but that of the calling thread.
    ///
    /// # Errors
    /// [`Problem`] if the thread's own namespace cannot be determined, or be left and entered.
    pub fn read(paths: &Paths) -> Part<Self> {
        let home = Netns::current().map_err(Problem::of)?;
        let mut kernel = Rtnetlink::open().map_err(Problem::of)?;
        let mut known: HashSet<NetnsId> = [home.id()].into();
        let mut namespaces = Self::default();
        for path in candidates(paths) {
            let netns = match Netns::open(&path) {
                Ok(netns) => netns,
                // It has ended since, or a runtime has left a plain file.
                Err(NetnsError::NotFound(_) | NetnsError::NotANetns(_)) => continue,
                Err(error) => {
                    namespaces.unread.push(Problem::of(error));
                    continue;
                }
            };
            if !known.insert(netns.id()) {
                continue;
            }
            match look(&mut kernel, netns, &home) {
                Ok(namespace) => namespaces.found.push(namespace),
                // Nothing may be done from another namespace.
                Err(error @ Failure::Netns(NetnsError::Stranded { .. })) => {
                    return Err(Problem::of(error));
                }
                Err(error) => namespaces.unread.push(Problem::of(error)),
            }
        }
        Ok(namespaces)
    }
}

#[derive(Debug)]
enum Failure {
    Netns(NetnsError),
    Netlink(netlink::NetlinkError),
}

impl From<NetnsError> for Failure {
    fn from(error: NetnsError) -> Self {
        Self::Netns(error)
    }
}

impl From<netlink::NetlinkError> for Failure {
    fn from(error: netlink::NetlinkError) -> Self {
        Self::Netlink(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Netns(error) => error.fmt(f),
            Self::Netlink(error) => error.fmt(f),
        }
    }
}

fn look(kernel: &mut Rtnetlink, netns: Netns, home: &Netns) -> Result<ContainerNamespace, Failure> {
    let mut inside = netns.enter(home, || Ok::<_, Failure>(Rtnetlink::open()?))?;
    Ok(ContainerNamespace {
        path: netns.path().to_owned(),
        links: NodeLinks::read(&mut inside)?,
        number: kernel.number_of(&netns)?,
        number_of_node: inside.number_of(home)?,
    })
}

/// The paths by which namespaces may be found; those with a name come first.
fn candidates(paths: &Paths) -> Vec<PathBuf> {
    let mut candidates = Vec::new();
    for dir in &paths.netns_dirs {
        candidates.extend(entries(dir));
    }
    candidates.sort();
    let mounts = fs::read_to_string(paths.proc_dir.join("thread-self/mountinfo"));
    let mounts = mounts.unwrap_or_default();
    candidates.extend(mounted(&mounts).map(|(_, point)| point));
    // Most processes are in the node's namespace. The text of a link says which one it leads to.
    let mut seen: HashSet<PathBuf> = HashSet::new();
    let mut processes = entries(&paths.proc_dir);
    processes.retain(|process| {
        let name = process.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    });
    processes.sort();
    for process in processes {
        let path = process.join("ns/net");
        if let Ok(text) = fs::read_link(&path)
            && seen.insert(text)
        {
            candidates.push(path);
        }
    }
    candidates
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}
