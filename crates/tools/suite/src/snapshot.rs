//! What a run of tests could leave on the machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// All that is there at one time, each thing as a line that names it.
pub(crate) struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// Looks at network namespaces, links, packet filter rules, mounts, forwarding, the plugins'
    /// files and the contents of the temporary directory that the tests were given.
    pub(crate) fn take(temporary: &Path) -> Self {
        let mut seen = BTreeSet::new();
        add_names(&mut seen, "network namespace", "/run/netns");
        add_names(&mut seen, "link", "/sys/class/net");
        add_rules(&mut seen);
        for line in fs::read_to_string("/proc/self/mountinfo")
            .unwrap_or_default()
            .lines()
        {
            if let Some((point, kind)) = parse_mount(line) {
                seen.insert(format!("mount {point} ({kind})"));
            }
        }
        for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            let value = fs::read_to_string(Path::new("/proc/sys/net").join(setting));
            seen.insert(format!(
                "setting net/{setting} = {}",
                value.unwrap_or_default().trim()
            ));
        }
        for dir in ["/var/lib/cni", "/run/flannel", "/etc/cni"].map(Path::new) {
            add_files(&mut seen, dir);
        }
        add_files(&mut seen, temporary);
        Self(seen)
    }

    /// What is here and was not there before.
    pub(crate) fn since(&self, before: &Self) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}

fn add_names(seen: &mut BTreeSet<String>, what: &str, dir: &str) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        seen.insert(format!("{what} {}", entry.file_name().display()));
    }
}

/// Each table, with what is in it; also those of iptables, where that is nftables underneath.
fn add_rules(seen: &mut BTreeSet<String>) {
    let list = Command::new("nft").args(["-s", "list", "ruleset"]).output();
    // Without the right to ask there is none to leave any either.
    let printed = list.map(|output| output.stdout).unwrap_or_default();
    seen.extend(parse_rules(&String::from_utf8_lossy(&printed)));
}

fn parse_rules(printed: &str) -> Vec<String> {
    let mut table = "";
    let lines = printed
        .lines()
        .map(|line| line.trim().trim_end_matches(" {"));
    let things = lines.filter(|line| !line.is_empty() && *line != "}");
    let named = things.map(|line| {
        if line.starts_with("table ") {
            table = line;
            return line.to_owned();
        }
        format!("{table}: {line}")
    });
    named.collect()
}

fn add_files(seen: &mut BTreeSet<String>, path: &Path) {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return;
    };
    seen.insert(format!("file {}", path.display()));
    if metadata.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            add_files(seen, &entry.path());
        }
    }
}

/// The mount point and the file system's type of a line of mountinfo, see proc(5).
fn parse_mount(line: &str) -> Option<(&str, &str)> {
    let (before, after) = line.split_once(" - ")?;
    Some((before.split(' ').nth(4)?, after.split(' ').next()?))
}

/// The processes that this one has started, or that were left to it, and that still run.
pub(crate) fn children() -> Vec<(Pid, String)> {
    reap();
    let own = std::process::id().to_string();
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name, in parentheses, may hold anything; state and parent follow it.
        let (name, rest) = stat.rsplit_once(") ")?;
        let (_, name) = name.split_once('(')?;
        let parent = rest.split(' ').nth(1)?;
        (parent == own).then(|| (Pid::from_raw(pid), name.to_owned()))
    })
    .collect()
}

fn reap() {
    let any = Pid::from_raw(-1);
    while let Ok(status) = waitpid(any, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let before = Snapshot::take(dir.path());
        assert_eq!(Snapshot::take(dir.path()).since(&before), [""; 0]);
        fs::create_dir(dir.path().join("left")).unwrap();
        fs::write(dir.path().join("left/over"), "").unwrap();
        let shown = dir.path().display();
        assert_eq!(
            Snapshot::take(dir.path()).since(&before),
            [
                format!("file {shown}/left"),
                format!("file {shown}/left/over")
            ]
        );
    }

    #[test]
    fn rules_are_told_with_their_table() {
        let printed = "table ip a {\n\tchain c {\n\t\tcounter accept\n\t}\n}\ntable ip6 b {\n}\n";
        assert_eq!(
            parse_rules(printed),
            [
                "table ip a",
                "table ip a: chain c",
                "table ip a: counter accept",
                "table ip6 b"
            ]
        );
    }

    #[test]
    fn mounts_are_told_by_place_and_type() {
        let line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        assert_eq!(parse_mount(line), Some(("/mnt2", "ext3")));
        let line = "25 1 0:4 net:[4026532281] /run/netns/x rw - nsfs nsfs rw";
        assert_eq!(parse_mount(line), Some(("/run/netns/x", "nsfs")));
    }
}
