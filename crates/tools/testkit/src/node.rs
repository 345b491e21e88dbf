//! A node for plugins to change: a network and a mount namespace.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;

use crate::invocation::{Invocation, Running};
use crate::netns::{NetNs, ip, on_a_thread, parse_ip};
use crate::outcome::Outcome;

/// A node: a network and a mount namespace, in which `/run`, `/var/lib/cni` and `/etc/cni` are
/// empty and all other files are the machine's.
///
/// Like [`NetNs`] it is held by open files, so it is gone with this value or with the process.
/// Kernel settings below `/proc/sys/net` belong to the network namespace of who opens them, so
/// plugins may set `ip_forward` in a node without the machine noticing.
#[derive(Debug)]
pub struct Node {
    pub(crate) net: NetNs,
    mounts: File,
}

impl Node {
    /// Makes a node.
    ///
    /// # Errors
    /// Without the right to make namespaces and mounts (root), or without `ip` in `PATH`.
    pub fn new() -> Result<Self> {
        let net = NetNs::new()?;
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS)
                .context("cannot make a mount namespace: this needs root")?;
            mount_fresh_dirs()?;
            let path = "/proc/thread-self/ns/mnt";
            File::open(path).with_context(|| format!("cannot open {path}"))
        });
        let mounts = made.join().expect("making a namespace does not panic")?;
        Ok(Self { net, mounts })
    }

    /// Runs a closure on a thread inside the node: files and commands are the node's.
    ///
    /// Several threads may be inside at a time.
    ///
    /// # Panics
    /// If the closure panics.
    pub fn enter<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        let dir = std::env::current_dir();
        on_a_thread(|| {
            // A thread that shares its root and working directory cannot change its mounts.
            unshare(CloneFlags::CLONE_FS).expect("a thread can have its own working directory");
            setns(&self.mounts, CloneFlags::CLONE_NEWNS).expect("the node's mounts can be joined");
            self.net.join();
            // Joining went to `/`; a working directory that the node does not have is no loss.
            if let Ok(dir) = dir {
                drop(std::env::set_current_dir(dir));
            }
            inside()
        })
    }

    /// Runs a plugin inside the node.
    ///
    /// # Panics
    /// As [`Invocation::run`].
    #[track_caller]
    pub fn run(&self, invocation: &Invocation) -> Outcome {
        self.enter(|| invocation.start()).wait()
    }

    /// Starts a plugin inside the node.
    ///
    /// # Panics
    /// As [`Invocation::start`].
    #[track_caller]
    pub fn start(&self, invocation: &Invocation) -> Running {
        self.enter(|| invocation.start())
    }

    /// Writes a file, and the directories above it.
    ///
    /// # Panics
    /// If it cannot be written.
    #[track_caller]
    pub fn write(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) {
        let (path, contents) = (path.as_ref(), contents.as_ref());
        let written = self.enter(|| {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            fs::write(path, contents)
        });
        if let Err(error) = written {
            panic!("cannot write {} in the node: {error}", path.display());
        }
    }

    /// Reads a file of text.
    ///
    /// # Panics
    /// If it cannot be read.
    #[track_caller]
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let path = path.as_ref();
        match self.enter(|| fs::read_to_string(path)) {
            Ok(text) => text,
            Err(error) => panic!("cannot read {} in the node: {error}", path.display()),
        }
    }

    /// The names in a directory, sorted; none if there is no such directory.
    ///
    /// # Panics
    /// If it cannot be read.
    #[track_caller]
    pub fn list(&self, path: impl AsRef<Path>) -> Vec<String> {
        let path = path.as_ref();
        let read = self.enter(|| {
            fs::read_dir(path)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<std::io::Result<Vec<_>>>()
        });
        match read {
            Ok(mut names) => {
                names.sort_unstable();
                names
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => panic!("cannot list {} in the node: {error}", path.display()),
        }
    }

    /// Runs `ip` inside the node, as [`NetNs::ip`].
    ///
    /// # Panics
    /// If a command fails.
    #[track_caller]
    pub fn ip(&self, args: &str) {
        let output = self.enter(|| ip(args).output());
        let output = output.unwrap_or_else(|error| panic!("cannot run `ip`: {error}"));
        assert!(output.status.success(), "ip {args}: {output:?}");
    }

    /// What `ip -j <args>` prints inside the node.
    ///
    /// # Panics
    /// If the command fails.
    #[track_caller]
    pub fn ip_json(&self, args: &[&str]) -> Value {
        let output = self.enter(|| Command::new("ip").arg("-j").args(args).output());
        parse_ip(
            args,
            &output.unwrap_or_else(|error| panic!("cannot run `ip`: {error}")),
        )
    }
}

/// Gives the calling thread's mount namespace directories of its own for what plugins write.
fn mount_fresh_dirs() -> Result<()> {
    // Without this, what is mounted here would show up on the machine where `/` is shared.
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .context("cannot make the mounts private")?;
    // The overlays' own files lie on a tmpfs that the second one on /run then hides.
    mount_tmpfs("/run")?;
    for (parent, dir) in [("/var/lib", "/var/lib/cni"), ("/etc", "/etc/cni")] {
        make_mountpoint(Path::new(parent), Path::new(dir))?;
        mount_tmpfs(dir)?;
    }
    mount_tmpfs("/run")
}

/// Makes a directory to mount on without making it on the machine: where it is missing, its parent
/// becomes an overlay, which keeps all that the machine has there.
///
/// A tmpfs on the parent would do too, but hide the resolver's configuration, the dynamic linker's
/// cache, or whatever else a command inside needs.
fn make_mountpoint(parent: &Path, dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let own = Path::new("/run").join(parent.strip_prefix("/")?);
    let (upper, work) = (own.join("upper"), own.join("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    let layers = format!(
        "lowerdir={},upperdir={},workdir={}",
        parent.display(),
        upper.display(),
        work.display()
    );
    mount(
        Some("overlay"),
        parent,
        Some("overlay"),
        MsFlags::empty(),
        Some(layers.as_str()),
    )
    .with_context(|| {
        let (parent, dir) = (parent.display(), dir.display());
        format!("cannot mount an overlay on {parent}: create {dir}, or load the module `overlay`")
    })?;
    fs::create_dir(dir).with_context(|| format!("cannot create {}", dir.display()))
}

fn mount_tmpfs(dir: &str) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), dir, Some("tmpfs"), flags, Some("mode=0755"))
        .with_context(|| format!("cannot mount a tmpfs on {dir}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requirements::require_root;

    const OF_A_NODE: [&str; 3] = ["/run", "/var/lib/cni", "/etc/cni"];

    #[test]
    fn a_node_starts_empty_and_the_machine_stays_as_it_is() {
        if !require_root() {
            return;
        }
        let machine = || {
            let links = Command::new("ip").arg("link").output().unwrap().stdout;
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
            let present = OF_A_NODE.map(|dir| Path::new(dir).exists());
            (String::from_utf8(links).unwrap(), mounts, present)
        };
        let before = machine();
        let node = Node::new().unwrap();
        for dir in OF_A_NODE {
            assert_eq!(node.list(dir), [""; 0], "{dir}");
        }
        assert_eq!(node.ip_json(&["link"])[0]["ifname"], "lo");
        assert_eq!(node.ip_json(&["link"]).as_array().unwrap().len(), 1);

        node.write("/run/flannel/subnet.env", "FLANNEL_MTU=1450\n");
        node.write("/etc/cni/net.d/10-flannel.conflist", "{}");
        node.write("/var/lib/cni/networks/cbr0/10.244.1.2", "c1\r\neth0");
        assert_eq!(node.read("/run/flannel/subnet.env"), "FLANNEL_MTU=1450\n");
        assert_eq!(node.list("/var/lib/cni/networks/cbr0"), ["10.244.1.2"]);
        assert!(
            node.enter(|| Path::new("/etc/passwd").exists()),
            "the rest of /etc is there"
        );
        let bridge = ["link", "add", "name", "testkit0", "type", "bridge"];
        let added = node.enter(|| Command::new("ip").args(bridge).output().unwrap());
        assert!(added.status.success(), "{added:?}");
        assert_eq!(machine(), before);
        drop(node);
        assert_eq!(machine(), before);
    }

    #[test]
    fn a_kernel_setting_is_the_nodes_own() {
        if !require_root() {
            return;
        }
        let path = "/proc/sys/net/ipv4/conf/lo/arp_notify";
        let before = fs::read_to_string(path).unwrap();
        let node = Node::new().unwrap();
        let other = if before.trim() == "1" { "0" } else { "1" };
        node.write(path, other);
        assert_eq!(node.read(path).trim(), other);
        assert_eq!(fs::read_to_string(path).unwrap(), before);
    }

    #[test]
    fn a_plugin_runs_in_the_node_beside_another() {
        if !require_root() {
            return;
        }
        let node = Node::new().unwrap();
        node.write("/run/here", "node");
        let running = node.start(&Invocation::new("/bin/cat", "ADD").stdin("x"));
        let outcome = node.run(&Invocation::new("/bin/ls", "ADD"));
        assert_eq!(outcome.code, Some(0), "{outcome}");
        assert_eq!(running.wait().stdout, b"x");
        let seen = node.enter(|| Command::new("ls").arg("/run").output().unwrap());
        assert_eq!(String::from_utf8(seen.stdout).unwrap(), "here\n");
    }
}
