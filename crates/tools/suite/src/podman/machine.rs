//! A node that boots, runs podman, and is switched off: a few namespaces.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::exchange::{Protocol, Server, ask};
use testkit::{NetNs, Node};
use xtask::command::output;

use super::disk::Disk;

/// The address of the node on its own network.
pub(super) const HOST: &str = "192.0.2.10";

// Podman's locks are in /dev/shm. It asks for a cgroup2 even for containers that it makes no cgroup
// for, and a machine may have those of version 1.
const BOOT: &str = "\
mount --bind $DISK/cni /var/lib/cni &&
mount -t tmpfs none /dev/shm &&
mount -t cgroup2 none /sys/fs/cgroup &&
ip link add uplink type bridge &&
ip address add $HOST/24 dev uplink &&
ip link set uplink up";

// The first process of the machine reaps orphans, and ends, with all others, when its standard
// input does: at the latest with the process that holds the other end.
const INIT: &str =
    "mount --bind $DISK/boot_id /proc/sys/kernel/random/boot_id && echo up && cat; :";

/// Longer than any command takes.
const LIMIT: &str = "30";

/// A running node: network, mounts and processes are gone when it is switched off, its disk stays.
pub(super) struct Machine<'a> {
    disk: &'a Disk,
    init: Child,
    /// Open as long as the machine runs.
    power: Option<ChildStdin>,
    /// Holds the namespaces.
    node: Node,
}

impl<'a> Machine<'a> {
    /// Starts a node with a boot ID of its own, and with a lease of a subnet, and waits until it is
    /// up.
    pub(super) fn boot(disk: &'a Disk, subnet: &str) -> Result<Self> {
        let random = "/proc/sys/kernel/random/uuid";
        let id = fs::read_to_string(random).with_context(|| format!("cannot read {random}"))?;
        disk.write("boot_id", id)?;
        let node = Node::new()?;
        let lease = format!(
            "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET={subnet}\nFLANNEL_MTU=1430\n\
             FLANNEL_IPMASQ=true\n"
        );
        node.write("/run/flannel/subnet.env", &lease);

        let mut boot = Command::new("sh");
        boot.args(["-c", BOOT])
            .env("DISK", disk.dir())
            .env("HOST", HOST);
        node.enter(|| output(&mut boot))?;

        let mut init = Command::new("unshare");
        init.args(["--fork", "--pid", "--kill-child=KILL", "--mount-proc"])
            .args(["sh", "-c", INIT])
            .env("DISK", disk.dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut init = node
            .enter(|| init.spawn())
            .context("cannot run `unshare` (Debian package util-linux)")?;
        let power = init.stdin.take();
        let stdout = init.stdout.take().context("stdout is piped")?;
        let machine = Self {
            disk,
            init,
            power,
            node,
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(line == "up\n", "the node's first process ended at once");
        Ok(machine)
    }

    /// A command inside, which is killed when it takes too long.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let of_init = |kind: &str| format!("/proc/{}/ns/{kind}", self.init.id());
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", LIMIT, "nsenter"])
            .arg(format!("--mount={}", of_init("mnt")))
            .arg(format!("--net={}", of_init("net")))
            .arg(format!("--pid={}", of_init("pid_for_children")))
            .args(words)
            .current_dir("/")
            .stdin(Stdio::null());
        self.disk.configure(&mut command);
        command
    }

    /// What a command inside prints; an error if it fails.
    pub(super) fn run(&self, words: &[&str]) -> Result<String> {
        output(&mut self.command(words))
    }

    /// As [`Self::run`] for podman.
    pub(super) fn podman(&self, words: &[&str]) -> Result<String> {
        self.run(&[&["podman"], words].concat())
    }

    /// What an expression of podman's says about a container.
    pub(super) fn inspect(&self, name: &str, format: &str) -> Result<String> {
        let printed = self.podman(&["container", "inspect", "--format", format, name])?;
        Ok(printed.trim_end().to_owned())
    }

    /// Answers at a port of a container, over TCP and UDP, until this process ends.
    pub(super) fn serve(&self, name: &str, port: u16) -> Result<()> {
        let path = self.inspect(name, "{{.NetworkSettings.SandboxKey}}")?;
        // The namespace is mounted in the machine's own mount namespace.
        let path = format!("/proc/{}/root{path}", self.init.id());
        let netns = NetNs::open(Path::new(&path))?;
        let bind = || Server::bind(Ipv4Addr::UNSPECIFIED.into(), port);
        netns.enter(bind).answer(name);
        Ok(())
    }

    /// What a client on the node is answered at a port of the node within the timeout.
    pub(super) fn ask(&self, protocol: Protocol, port: u16, timeout: Duration) -> Option<String> {
        let to = SocketAddr::new(HOST.parse().ok()?, port);
        self.node.enter(|| ask(protocol, to, timeout))
    }

    /// What a command of busybox prints in a container, without white space at the ends of lines.
    pub(super) fn in_container(&self, name: &str, words: &[&str]) -> Result<String> {
        let printed = self.podman(&[&["exec", name, "/bin/busybox"], words].concat())?;
        let lines: Vec<_> = printed.lines().map(str::trim_end).collect();
        Ok(lines.join("\n"))
    }

    /// Ends all processes at once and gives the namespaces back, as a power cut does.
    pub(super) fn switch_off(mut self) -> Result<()> {
        self.end().context("cannot switch the node off")
    }

    fn end(&mut self) -> Result<()> {
        drop(self.power.take());
        let until = Instant::now() + Duration::from_secs(10);
        while self.init.try_wait()?.is_none() {
            if Instant::now() >= until {
                self.init.kill()?;
                self.init.wait()?;
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        // After a failure, which is already reported; the part `tidy` reports leftovers.
        let _ = self.end();
    }
}
