//! What else of the node is looked at: disks, kernel settings, indexes, flanneld's process.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use allocator::{Location, Record, StoreKind};
use cni_types::{Attachment, NetworkName};
use nix::sys::statvfs::{FsFlags, statvfs};
use node::Node;
use state::BootId;

use super::{Facts, Fault, Repair};

/// The timeout for a lock, which an ADD holds for a few milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// The ticks per second of the times in `/proc/<pid>/stat`, on every architecture.
const TICKS: u64 = 100;

/// What else of the node is looked at.
#[derive(Debug, Default)]
pub(crate) struct Host {
    /// The directories of the state, with the room on their file systems.
    pub(crate) disks: Vec<(PathBuf, Room)>,
    /// The indexes that differ from the files, with what shows it.
    pub(crate) false_indexes: Vec<(NetworkName, PathBuf, String)>,
    /// When flanneld was started, if it runs.
    pub(crate) flanneld_since: Option<SystemTime>,
    /// Kernel settings, by their names below `/proc/sys`; `None` if the kernel has none such.
    pub(crate) settings: Vec<(&'static str, Option<String>)>,
}

/// The room on a file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    pub(crate) has_no_inodes: bool,
    pub(crate) is_read_only: bool,
}

const IPV4: &str = "net/ipv4/ip_forward";
const IPV6: &str = "net/ipv6/conf/all/forwarding";
const BRIDGE_NF: &str = "net/bridge/bridge-nf-call-iptables";
const RP_FILTER: &str = "net/ipv4/conf/all/rp_filter";

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
            flanneld_since: flanneld_since(&node.paths.proc_dir),
            settings: [IPV4, IPV6, BRIDGE_NF, RP_FILTER]
                .map(|name| (name, setting(name)))
                .to_vec(),
        }
    }

    fn setting(&self, name: &str) -> Option<&str> {
        let found = self.settings.iter().find(|(known, _)| *known == name);
        found.and_then(|(_, value)| value.as_deref())
    }
}

/// Kernel settings without which containers are not reached.
pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut off = |name: &'static str, effect| {
        faults.push(Fault {
            kind: "sysctl",
            subject: name.to_owned(),
            evidence: "it is 0".to_owned(),
            effect,
            command: format!(
                "twill repair sysctl --apply, or: sysctl -w {}=1",
                name.replace('/', ".")
            ),
            repair: Some(Repair::SetSysctl { name, value: "1" }),
        });
    };
    let host = &facts.host;
    let is_off = |name| host.setting(name) == Some("0");
    let has = |is_ipv4: bool| {
        let networks = facts
            .node
            .networks
            .iter()
            .filter(|network| network.list.is_some());
        let sets = networks.filter_map(|network| network.ranges.as_ref().ok()?.as_ref());
        let mut sets = sets.flat_map(|sets| sets.iter());
        sets.any(|set| set.is_ipv4() == is_ipv4)
    };
    let effect = "the node drops what containers send to other nodes, and what comes back";
    if has(true) && is_off(IPV4) {
        off(IPV4, effect);
    }
    if has(false) && is_off(IPV6) {
        off(IPV6, effect);
    }
    // Without the module there is no such setting, and no kube-proxy that needs it.
    if has(true) && is_off(BRIDGE_NF) {
        off(
            BRIDGE_NF,
            "kube-proxy and network policies do not see packets between containers of the bridge: \
             services that lead back to the same node do not answer",
        );
    }
    if has(true) && host.setting(RP_FILTER) == Some("1") {
        let is_strict_needed = facts
            .node
            .lease_file
            .as_ref()
            .is_ok_and(|it| !it.lease.ip_masq());
        if is_strict_needed {
            faults.push(Fault {
                kind: "sysctl",
                subject: RP_FILTER.to_owned(),
                evidence: "it is 1 (strict)".to_owned(),
                effect: "the node drops packets of other nodes' containers that come in by another \
                         link than answers would go out by",
                command: "sysctl -w net.ipv4.conf.all.rp_filter=2, if nodes have several links"
                    .to_owned(),
                repair: None,
            });
        }
    }
    faults
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
        // A file system that creates inodes as needed has none at all.
        has_no_inodes: stat.files() > 0 && stat.files_available() == 0,
        is_read_only: stat.flags().contains(FsFlags::ST_RDONLY),
    })
}

/// How many addresses are compared before the lock is released for others.
const AT_A_TIME: usize = 256;

/// The indexes that differ from the address files, compared under the network's lock.
fn false_indexes(node: &Node) -> Vec<(NetworkName, PathBuf, String)> {
    let mut found = Vec::new();
    for stores in &node.stores {
        for store in stores.files.iter().flatten() {
            let location = Location {
                data_dir: stores.data_dir.clone(),
                network: store.network.clone(),
                backend: StoreKind::Disk,
                lock_timeout: LOCK_TIMEOUT,
            };
            let records = store.records.iter().flat_map(|records| &records.records);
            let records: Vec<_> = records.collect();
            // Whoever cannot look has found nothing: other faults name the reason.
            let mut parts = records.chunks(AT_A_TIME);
            if let Some(evidence) = parts.find_map(|part| false_index(&location, part)) {
                found.push((store.network.clone(), stores.data_dir.clone(), evidence));
            }
        }
    }
    found
}

/// What shows that an index lacks one of these addresses.
fn false_index(location: &Location, records: &[&Record]) -> Option<String> {
    let opened = location.open_to_release().ok()??;
    let mut store = opened.begin_to_release(BootId::read()).ok()?;
    for record in records {
        let Ok(owner) = &record.owner else { continue };
        let Some(ifname) = owner.ifname.clone() else {
            continue;
        };
        let attachment = Attachment {
            container_id: owner.container_id.clone(),
            ifname,
        };
        let held = store.held_by(&attachment).ok()?;
        if held.iter().any(|held| held.address == record.address) {
            continue;
        }
        // The file may have changed since it was read.
        let lease = store.lease(record.address).ok()?;
        if lease.is_some_and(|lease| lease.owner == *owner) {
            return Some(format!(
                "the file of {} names {}, and the index does not",
                record.address,
                owner.in_words()
            ));
        }
    }
    None
}

/// When flanneld was started.
fn flanneld_since(proc_dir: &Path) -> Option<SystemTime> {
    let uptime = fs::read_to_string(proc_dir.join("uptime")).ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    for entry in fs::read_dir(proc_dir).ok()?.flatten() {
        let path = entry.path();
        let comm = fs::read_to_string(path.join("comm")).unwrap_or_default();
        if comm.trim() != "flanneld" {
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
