//! The file system that the state is on.

use super::{Facts, Fault};

/// The room below which a file system counts as full, in bytes: an ADD needs some 20 KiB.
const LEAST: u64 = 1 << 20;

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (dir, room) in &facts.host.disks {
        let subject = dir.display().to_string();
        if room.is_read_only {
            faults.push(Fault {
                kind: "disk-read-only",
                subject,
                evidence: "the file system is mounted read-only".to_owned(),
                effect: "no container can be added, and no address is released",
                command: "look at the kernel's log (dmesg), and remount it".to_owned(),
                repair: None,
            });
        } else if room.bytes < LEAST || room.has_no_inodes {
            faults.push(Fault {
                kind: "disk-full",
                subject,
                evidence: if room.has_no_inodes {
                    "the file system has no inode left".to_owned()
                } else {
                    format!("the file system has {} KiB left", room.bytes >> 10)
                },
                effect: "no container can be added",
                command: "make room on the file system (df, du)".to_owned(),
                repair: None,
            });
        }
    }
    faults
}
