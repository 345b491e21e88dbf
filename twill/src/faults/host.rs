//! Readings of the node beyond `crates/node`: disks, kernel settings, indexes, flanneld's process.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use allocator::lacking_in_index;
use cni_types::NetworkName;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::geteuid;
use node::Node;

use super::settings;
use super::unrecorded::{self, Unrecorded};

/// The ticks per second of the times in `/proc/<pid>/stat`, on every architecture.
const TICKS: u64 = 100;

/// These readings.
#[derive(Debug, Default)]
pub(crate) struct Host {
    /// The directories of the state, with the room on their file systems.
    pub(crate) disks: Vec<(PathBuf, Room)>,
    /// The indexes that differ from the files, each with an address that it lacks.
    pub(crate) false_indexes: Vec<(NetworkName, PathBuf, IpAddr)>,
    /// The addresses of containers that no lease records.
    pub(crate) unrecorded: Vec<Unrecorded>,
    /// Whether this process may read everything.
    pub(crate) is_root: bool,
    /// The time when flanneld was started; `None` if it does not run.
    pub(crate) flanneld_since: Option<SystemTime>,
    /// The values of kernel settings, by their paths in `/proc/sys`; `None` for a setting that the
    /// kernel does not have.
    pub(crate) settings: Vec<(&'static str, Option<String>)>,
}

/// The room on a file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    pub(crate) has_no_inodes: bool,
    pub(crate) is_read_only: bool,
}

impl Host {
    pub(crate) fn read(node: &Node) -> Self {
        let mut dirs = BTreeSet::new();
        dirs.extend(node.stores.iter().map(|stores| stores.data_dir.clone()));
        dirs.extend(node.kept.iter().map(|kept| kept.data_dir.clone()));
        let disks = dirs
            .into_iter()
            .filter_map(|dir| Some((room_of(&dir)?, dir)));
        Self {
            disks: disks.map(|(room, dir)| (dir, room)).collect(),
            false_indexes: false_indexes(node),
            unrecorded: unrecorded::read(node),
            is_root: geteuid().is_root(),
            flanneld_since: flanneld_since(&node.paths.proc_dir),
            settings: settings::NAMES.map(|name| (name, setting(name))).to_vec(),
        }
    }

    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        let found = self.settings.iter().find(|(known, _)| *known == name);
        found.and_then(|(_, value)| value.as_deref())
    }
}

fn setting(name: &str) -> Option<String> {
    let text = fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
    Some(text.trim().to_owned())
}

/// The room on the file system of a directory, or of its next parent that exists.
fn room_of(dir: &Path) -> Option<Room> {
    let existing = dir.ancestors().find(|dir| dir.exists())?;
    let stat = statvfs(existing).ok()?;
    Some(Room {
        bytes: (stat.blocks_available() as u64).saturating_mul(stat.fragment_size() as u64),
        // A file system that creates inodes as needed reports no number of inodes.
        has_no_inodes: stat.files() > 0 && stat.files_available() == 0,
        is_read_only: stat.flags().contains(FsFlags::ST_RDONLY),
    })
}

/// The indexes that differ from the address files.
fn false_indexes(node: &Node) -> Vec<(NetworkName, PathBuf, IpAddr)> {
    let mut found = Vec::new();
    for stores in &node.stores {
        for store in stores.files.iter().flatten() {
            let (dir, network) = (&stores.data_dir, &store.network);
            let Ok(records) = &store.records else {
                continue;
            };
            // An index that cannot be read counts as no difference: other faults name the reason.
            let lacking = lacking_in_index(dir, network, node.boot, &records.records);
            let lacking = lacking.ok().flatten();
            found.extend(lacking.map(|address| (network.clone(), dir.clone(), address)));
        }
    }
    found
}

/// The time when flanneld was started in the node's network namespace.
fn flanneld_since(proc_dir: &Path) -> Option<SystemTime> {
    let uptime = fs::read_to_string(proc_dir.join("uptime")).ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    let own = fs::read_link(proc_dir.join("thread-self/ns/net")).ok();
    for entry in fs::read_dir(proc_dir).ok()?.flatten() {
        let path = entry.path();
        let comm = fs::read_to_string(path.join("comm")).unwrap_or_default();
        // A container can be a node of another cluster, with a flanneld of its own.
        if comm.trim() != "flanneld" || fs::read_link(path.join("ns/net")).ok() != own {
            continue;
        }
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        // The name in parentheses may have blanks.
        let fields = stat.rsplit_once(')')?.1;
        let started: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
        let age = uptime - started as f64 / TICKS as f64;
        return SystemTime::now().checked_sub(Duration::try_from_secs_f64(age.max(0.0)).ok()?);
    }
    None
}
