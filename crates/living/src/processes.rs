//! Which processes run, and in which network namespaces.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Longer than a program stays that looks into one namespace after the other.
const LOOK: Duration = Duration::from_millis(5);

/// The network namespaces of the processes that run.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    /// By process ID, the number of the namespace; `None` if it could not be read.
    namespaces: HashMap<u32, Option<u64>>,
    own: Option<u64>,
}

impl Processes {
    /// Reads `/proc`. There is none if it cannot be read.
    pub(crate) fn read() -> Self {
        let mut namespaces = HashMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid: Option<u32> = entry.file_name().to_str().and_then(|it| it.parse().ok());
            if let Some(pid) = pid {
                namespaces.insert(pid, number_of(&path_of(pid)));
            }
        }
        Self {
            namespaces,
            own: number_of(Path::new("/proc/thread-self/ns/net")),
        }
    }

    /// As [`Processes::read`], without processes that only look into a namespace and go on: who
    /// lives there is found twice.
    pub(crate) fn read_residents() -> Self {
        let earlier = Self::read();
        thread::sleep(LOOK);
        let mut now = Self::read();
        now.namespaces
            .retain(|pid, number| earlier.namespaces.get(pid) == Some(number));
        now
    }

    /// Whether there is certainly no container with this process: it does not exist, or is in the
    /// network namespace of the node.
    pub(crate) fn has_no_container(&self, pid: u32) -> bool {
        if self.namespaces.is_empty() {
            return false;
        }
        match self.namespaces.get(&pid) {
            None => true,
            Some(number) => number.is_some() && *number == self.own,
        }
    }

    /// The namespaces in which processes run, without the caller's own, each with the path by which
    /// one of its processes leads there.
    pub(crate) fn others(&self) -> HashMap<u64, PathBuf> {
        let others = self.namespaces.iter().filter_map(|(pid, number)| {
            let number = (*number).filter(|_| *number != self.own)?;
            Some((number, path_of(*pid)))
        });
        others.collect()
    }

    /// The number of the caller's own namespace.
    pub(crate) fn own(&self) -> Option<u64> {
        self.own
    }
}

fn path_of(pid: u32) -> PathBuf {
    format!("/proc/{pid}/ns/net").into()
}

/// The number in a link to a namespace: `net:[4026531840]`.
fn number_of(path: &Path) -> Option<u64> {
    netlink::number_in(fs::read_link(path).ok()?.to_str()?)
}
