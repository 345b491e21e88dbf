//! The running processes and their network namespaces.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The time between two scans. It is longer than a program such as `twill` stays in a namespace
/// that it inspects.
const LOOK: Duration = Duration::from_millis(5);

/// The network namespaces of the running processes.
#[derive(Debug, Default)]
pub struct Processes {
    /// By process ID, the number of the namespace; `None` if it could not be read.
    namespaces: HashMap<u32, Option<u64>>,
    own: Option<u64>,
}

impl Processes {
    /// Scans the file system of processes; no processes if it cannot be read.
    pub fn read(proc_dir: &Path) -> Self {
        let mut namespaces = HashMap::new();
        for entry in fs::read_dir(proc_dir).into_iter().flatten().flatten() {
            let pid: Option<u32> = entry.file_name().to_str().and_then(|it| it.parse().ok());
            if let Some(pid) = pid {
                namespaces.insert(pid, number_of(&path_of(proc_dir, pid)));
            }
        }
        Self {
            namespaces,
            own: number_of(&proc_dir.join("thread-self/ns/net")),
        }
    }

    /// As [`Processes::read`], without processes that only inspect a namespace: of two scans, only
    /// processes that are in the same namespace in both count.
    pub(crate) fn read_residents(proc_dir: &Path) -> Self {
        let earlier = Self::read(proc_dir);
        thread::sleep(LOOK);
        let mut now = Self::read(proc_dir);
        now.namespaces
            .retain(|pid, number| earlier.namespaces.get(pid) == Some(number));
        now
    }

    /// Whether there is certainly no container with this process: it does not exist, or is in the
    /// network namespace of the node.
    pub fn has_no_container(&self, pid: u32) -> bool {
        if self.namespaces.is_empty() {
            return false;
        }
        match self.namespaces.get(&pid) {
            None => true,
            Some(number) => number.is_some() && *number == self.own,
        }
    }

    /// The numbers of the namespaces in which processes run, without the caller's own, each with
    /// the paths by which the processes lead there, in the order of their IDs.
    pub(crate) fn others(&self, proc_dir: &Path) -> BTreeMap<u64, Vec<PathBuf>> {
        let mut others: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
        for (pid, number) in &self.namespaces {
            if let Some(number) = (*number).filter(|_| *number != self.own) {
                others.entry(number).or_default().insert(*pid);
            }
        }
        let paths = |pids: BTreeSet<u32>| pids.into_iter().map(|pid| path_of(proc_dir, pid));
        let others = others.into_iter();
        others
            .map(|(number, pids)| (number, paths(pids).collect()))
            .collect()
    }
}

fn path_of(proc_dir: &Path, pid: u32) -> PathBuf {
    proc_dir.join(pid.to_string()).join("ns/net")
}

/// The number in a link to a namespace: `net:[4026531840]`.
fn number_of(path: &Path) -> Option<u64> {
    netlink::number_in(fs::read_link(path).ok()?.to_str()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn each_process_in_a_namespace_leads_there() {
        let proc = tempfile::tempdir().unwrap();
        for (process, number) in [("thread-self", 1), ("1", 1), ("30", 7), ("4", 7), ("5", 8)] {
            let dir = proc.path().join(process).join("ns");
            fs::create_dir_all(&dir).unwrap();
            symlink(format!("net:[{number}]"), dir.join("net")).unwrap();
        }
        let path = |pid: u32| path_of(proc.path(), pid);
        let expected = [(7, vec![path(4), path(30)]), (8, vec![path(5)])];
        let others = Processes::read(proc.path()).others(proc.path());
        assert_eq!(others, expected.into());
    }
}
