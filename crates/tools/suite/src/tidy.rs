//! The part `tidy`: compares the machine with what it was before the tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Prints what tests could leave on the machine, a line each, and the temporary files in `$0`.
/// Without the right to list packet filter rules there is none to leave any either.
const LOOK: &str = r#"
find /run/netns /var/lib/cni /run/flannel /etc/cni "$0" | sed 's/^/file /'
ip -brief link | sed 's/[ @].*//; s/^/link /'
nft -s list ruleset | awk '/^table/ { table = $0 } NF { print "rule of", table, $0 }'
awk '{ point = $5; sub(/.* - /, ""); print "mount", point, $1 }' /proc/self/mountinfo
grep -H . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding
"#;

/// What was there at one time.
pub(crate) struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// Looks at network namespaces, links, packet filter rules, mounts, forwarding, the plugins'
    /// files and the temporary directory that the tests were given.
    pub(crate) fn take(temporary: &Path) -> Result<Self> {
        let output = Command::new("sh")
            .args(["-c", LOOK])
            .arg(temporary)
            .output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        Ok(Self(printed.lines().map(str::to_owned).collect()))
    }

    /// What is here and was not there before.
    fn since(&self, before: &Self) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}

/// Compares the machine with what it was; ends what still runs.
pub(super) fn check(before: &Snapshot, temporary: &Path) -> Result<()> {
    // A namespace goes a while after its last process, and with it the ends of its veths.
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let mut left = Snapshot::take(temporary)?.since(before);
        reap();
        let running = children();
        left.extend(
            running
                .iter()
                .map(|(pid, name)| format!("process {pid} ({name})")),
        );
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            for (pid, _) in running {
                // It may have ended by itself just now.
                let _ = kill(pid, Signal::SIGKILL);
            }
            let left = left.join("\n  ");
            ensure!(
                left.is_empty(),
                "this is left on the machine, or changed:\n  {left}"
            );
        }
        sleep(Duration::from_millis(100));
    }
}

/// The processes that this one has started, or that were left to it, and that still run.
fn children() -> Vec<(Pid, String)> {
    let threads = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let pids = threads.map(|thread| fs::read_to_string(thread.path().join("children")));
    let pids = pids.filter_map(Result::ok).collect::<String>();
    let child = |pid: &str| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Some((Pid::from_raw(pid.parse().ok()?), name.trim().to_owned()))
    };
    pids.split_whitespace().filter_map(child).collect()
}

/// Takes note of the ends of those that have ended.
fn reap() {
    let any = Pid::from_raw(-1);
    while waitpid(any, Some(WaitPidFlag::WNOHANG)).is_ok_and(|it| it != WaitStatus::StillAlive) {}
}

#[cfg(test)]
mod tests {
    use testkit::Node;
    use testkit::requirements::require_root;

    use super::*;

    #[test]
    fn whatever_is_left_is_named() {
        if !require_root() {
            return;
        }
        let node = Node::new().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let look = || node.enter(|| Snapshot::take(dir.path())).unwrap();
        let before = look();
        assert_eq!(look().since(&before), [""; 0]);
        let leave = "nft add table ip left; nft 'add chain ip left a'; mkdir /run/netns /run/m; \
            ip link add left0 type bridge; mount -t tmpfs none /run/m; touch /var/lib/cni/left; \
            touch /run/netns/x; echo 1 > /proc/sys/net/ipv4/ip_forward; touch \"$0/tmp\"";
        let mut sh = Command::new("sh");
        sh.args(["-ec", leave]).arg(dir.path());
        let output = node.enter(|| sh.output()).unwrap();
        assert!(output.status.success(), "{output:?}");
        let temporary = format!("file {}/tmp", dir.path().display());
        let left = look().since(&before);
        for line in [
            "file /run/netns/x",
            "file /var/lib/cni/left",
            &temporary,
            "link left0",
            "rule of table ip left { \tchain a {",
            "mount /run/m tmpfs",
            "/proc/sys/net/ipv4/ip_forward:1",
        ] {
            assert!(left.iter().any(|it| it == line), "{line:?}: {left:#?}");
        }
    }

    #[test]
    fn a_child_is_seen_while_it_runs() {
        let mut sleep = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = Pid::from_raw(sleep.id().cast_signed());
        assert!(children().iter().any(|(child, _)| *child == pid));
        sleep.kill().unwrap();
        sleep.wait().unwrap();
        assert!(!children().iter().any(|(child, _)| *child == pid));
    }
}
