//! The running processes and their network namespaces.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::Problem;

/// The time between two scans. It is longer than a program such as `twill` stays in a namespace
/// that it inspects.
const LOOK: Duration = Duration::from_millis(5);

/// The first process, which exists as long as any other, and belongs to no container of the node.
const FIRST: u32 = 1;

/// The place of the kernel's flags in `/proc/PID/stat`, counted from the field after the name.
const FLAGS: usize = 6;

/// The flag of a process that is about to end (`PF_EXITING` of the kernel's `sched.h`).
const PF_EXITING: u32 = 0x4;

/// The network namespaces of the running processes.
#[derive(Debug, Default)]
pub struct Processes {
    /// By process ID, the number of the namespace; `None` if it could not be read.
    namespaces: HashMap<u32, Option<u64>>,
    own: Option<u64>,
    hidden: Option<Problem>,
}

impl Processes {
    /// Scans the file system of processes; no processes if it cannot be read.
    pub fn read(proc_dir: &Path) -> Self {
        let mut all = Self {
            own: number_of(&proc_dir.join("thread-self/ns/net")).unwrap_or_default(),
            ..Self::default()
        };
        let entries = match fs::read_dir(proc_dir) {
            Ok(entries) => entries,
            Err(error) => {
                let problem = format!("cannot list {}: {error}", proc_dir.display());
                all.hidden = Some(Problem::of(problem));
                return all;
            }
        };
        for entry in entries.flatten() {
            let pid: Option<u32> = entry.file_name().to_str().and_then(|it| it.parse().ok());
            if let Some(pid) = pid {
                all.add(proc_dir, pid);
            }
        }
        if !all.namespaces.contains_key(&FIRST) && all.hidden.is_none() {
            all.hidden = Some(Problem::of(format!(
                "{} hides the processes of others (its mount option hidepid)",
                proc_dir.display()
            )));
        }
        all
    }

    fn add(&mut self, proc_dir: &Path, pid: u32) {
        let path = path_of(proc_dir, pid);
        let number = number_of(&path);
        if let Err(error) = &number
            && pid != FIRST
            && self.hidden.is_none()
            && !is_ending(&proc_dir.join(pid.to_string()).join("stat"))
        {
            let problem = format!("cannot read {}: {error}", path.display());
            self.hidden = Some(Problem::of(problem));
        }
        self.namespaces.insert(pid, number.unwrap_or_default());
    }

    /// The problem because of which the namespaces of some processes are unknown; `None` if those
    /// of all are known.
    pub(crate) fn hidden(&self) -> Option<&Problem> {
        self.hidden.as_ref()
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

/// The number in a link to a namespace, `net:[4026531840]`. `None` for a process that has ended.
fn number_of(path: &Path) -> io::Result<Option<u64>> {
    match fs::read_link(path) {
        Ok(link) => Ok(link.to_str().and_then(netlink::number_in)),
        Err(error) if has_ended(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a process is about to end, or has ended, by its file `stat` (proc_pid_stat(5)). The
/// kernel may refuse to show the namespace of such a process to anybody.
fn is_ending(stat: &Path) -> bool {
    let stat = match fs::read_to_string(stat) {
        Ok(stat) => stat,
        Err(error) => return has_ended(&error),
    };
    // The program's name, in parentheses, may have spaces and parentheses itself.
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest);
    let flags = after_name.and_then(|rest| rest.split_whitespace().nth(FLAGS));
    let flags: Option<u32> = flags.and_then(|flags| flags.parse().ok());
    flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

fn has_ended(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(nix::libc::ESRCH)
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
        let processes = Processes::read(proc.path());
        assert_eq!(processes.others(proc.path()), expected.into());
        assert_eq!(processes.hidden(), None);
    }

    #[test]
    fn processes_without_a_readable_namespace_are_noticed() {
        let proc = tempfile::tempdir().unwrap();
        let add = |process: &str| {
            let dir = proc.path().join(process).join("ns");
            fs::create_dir_all(&dir).unwrap();
            dir.join("net")
        };
        let hidden = || {
            Processes::read(proc.path())
                .hidden()
                .map(Problem::to_string)
        };
        // A process that has ended: the link is gone.
        add("4");
        let dir = proc.path().display();
        let by_mount = format!("{dir} hides the processes of others (its mount option hidepid)");
        assert_eq!(hidden(), Some(by_mount));
        // No link can be read from a file. The first process is the node's.
        fs::write(add("1"), "").unwrap();
        assert_eq!(hidden(), None);
        fs::write(add("5"), "").unwrap();
        let stat = |flags: u32| {
            let line = format!("5 (a) b) S 1 5 5 0 -1 {flags} 0 0");
            fs::write(proc.path().join("5/stat"), line).unwrap();
        };
        stat(0x0040_0104);
        assert_eq!(hidden(), None);
        stat(0x0040_0100);
        let reason = "Invalid argument (os error 22)";
        let unread = format!("cannot read {dir}/5/ns/net: {reason}");
        assert_eq!(hidden(), Some(unread));
        let absent = proc.path().join("absent");
        let problem = Processes::read(&absent).hidden().map(Problem::to_string);
        let reason = "No such file or directory (os error 2)";
        let expected = format!("cannot list {}: {reason}", absent.display());
        assert_eq!(problem, Some(expected));
    }
}
