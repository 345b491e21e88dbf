//! The network namespaces of containers, and the links in them.
//!
//! A namespace is found where runtimes name it ([`Paths::netns_dirs`]), where it is mounted, and by
//! the processes in it.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use netlink::{Netns, NetnsError, NetnsId, Rtnetlink, mounted};

use crate::{NodeLinks, Part, Paths, Problem, Processes};

/// The largest number of looks into a namespace whose links somebody keeps changing.
const LOOKS: usize = 5;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A namespace that is not the node's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerNamespace {
    /// A path that leads to it.
    pub path: PathBuf,
    /// Its identity.
    pub id: NetnsId,
    /// Whether a process runs in it.
    pub has_process: bool,
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
    /// The namespaces that could be entered.
    pub found: Vec<ContainerNamespace>,
    /// The problems with the others.
    pub unread: Vec<Problem>,
    /// The problem because of which the namespaces of some processes are unknown.
    pub hidden: Option<Problem>,
}

impl ContainerNamespaces {
    /// Enters each namespace but that of the calling thread, and lists its links.
    ///
    /// # Errors
    /// [`Problem`] if the thread's own namespace cannot be determined, or be left and entered.
    pub fn read(paths: &Paths) -> Part<Self> {
        // A concurrent scan takes a process for a container's if the process's first thread is in a
        // container's namespace. So another thread enters the namespaces.
        thread::scope(|scope| {
            let looking = scope.spawn(|| Self::read_on_this_thread(paths));
            looking.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    fn read_on_this_thread(paths: &Paths) -> Part<Self> {
        let home = Netns::current().map_err(Problem::of)?;
        let residents = Processes::read_residents(&paths.proc_dir);
        let mut walk = Walk {
            kernel: Rtnetlink::open().map_err(Problem::of)?,
            known: [home.id().number()].into(),
            home,
            residents: residents.others(&paths.proc_dir),
            namespaces: Self {
                hidden: residents.hidden().cloned(),
                ..Self::default()
            },
        };
        for path in named(paths) {
            walk.visit(&path)?;
        }
        for (number, paths) in walk.residents.clone() {
            // A process may end meanwhile, and leave the namespace to the others.
            for path in paths {
                if walk.known.contains(&number) {
                    break;
                }
                walk.visit(&path)?;
            }
        }
        Ok(walk.namespaces)
    }

    /// Why not all namespaces are known.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.unread.iter().chain(&self.hidden)
    }

    /// Whether a path leads to one of the namespaces that could be entered.
    pub fn has(&self, path: &Path) -> bool {
        Netns::open(path).is_ok_and(|netns| self.found.iter().any(|it| it.id == netns.id()))
    }
}

/// A walk through the namespaces.
struct Walk {
    /// A connection in the node's namespace.
    kernel: Rtnetlink,
    home: Netns,
    /// The namespaces in which processes run, by number, each with paths that lead there.
    residents: BTreeMap<u64, Vec<PathBuf>>,
    /// The numbers of the namespaces that were visited.
    known: HashSet<u64>,
    namespaces: ContainerNamespaces,
}

impl Walk {
    /// Looks into a namespace, unless it is known.
    fn visit(&mut self, path: &Path) -> Part<()> {
        let netns = match Netns::open(path) {
            Ok(netns) => netns,
            // The namespace is gone by now, or a runtime has left a plain file.
            Err(NetnsError::NotFound(_) | NetnsError::NotANetns(_)) => return Ok(()),
            Err(error) => {
                self.namespaces.unread.push(Problem::of(error));
                return Ok(());
            }
        };
        let number = netns.id().number();
        if !self.known.insert(number) {
            return Ok(());
        }
        let has_process = self.residents.contains_key(&number);
        let mut look = || look(&mut self.kernel, &netns, &self.home, has_process);
        let mut seen = look();
        for _ in 1..LOOKS {
            // Somebody keeps changing the links, or the namespace is going.
            if !matches!(seen, Err(Failure::Netlink(_))) {
                break;
            }
            thread::sleep(PAUSE);
            seen = look();
        }
        match seen {
            Ok(namespace) => self.namespaces.found.push(namespace),
            // The thread could not return to its own namespace.
            Err(error @ Failure::Netns(NetnsError::Stranded { .. })) => {
                return Err(Problem::of(error));
            }
            Err(error) => self.namespaces.unread.push(Problem::of(error)),
        }
        Ok(())
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

fn look(
    kernel: &mut Rtnetlink,
    netns: &Netns,
    home: &Netns,
    has_process: bool,
) -> Result<ContainerNamespace, Failure> {
    let mut inside = netns.enter(home, || Ok::<_, Failure>(Rtnetlink::open()?))?;
    Ok(ContainerNamespace {
        path: netns.path().to_owned(),
        id: netns.id(),
        has_process,
        links: NodeLinks::read(&mut inside)?,
        number: kernel.number_of(netns)?,
        number_of_node: inside.number_of(home)?,
    })
}

/// The paths at which namespaces are mounted; those that runtimes name come first.
fn named(paths: &Paths) -> Vec<PathBuf> {
    let mut named: Vec<PathBuf> = paths
        .netns_dirs
        .iter()
        .flat_map(|dir| entries(dir))
        .collect();
    named.sort();
    let mounts = fs::read_to_string(paths.proc_dir.join("thread-self/mountinfo"));
    let mounts = mounts.unwrap_or_default();
    named.extend(mounted(&mounts).map(|(_, point)| point));
    named
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}
