//! What the tests share: a directory of plugins, and calls of `twill`.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;
use testkit::requirements::{require_reference, require_root};
use testkit::{Container, Invocation, Node, binaries, conf, coverage, traffic};

use crate::needs;

/// Everything that is installed, sorted.
pub(crate) const NAMES: [&str; 9] = [
    "bandwidth",
    "bridge",
    "flannel",
    "host-local",
    "ipvlan",
    "loopback",
    "macvlan",
    "portmap",
    "twill",
];

/// A directory of plugins.
pub(crate) struct Plugins(TempDir);

impl Plugins {
    pub(crate) fn new() -> Self {
        Self(TempDir::with_prefix("twill-install-").unwrap())
    }

    /// A directory with Debian's Go plugins of these names; `None` if the test is to be skipped.
    #[track_caller]
    pub(crate) fn of_go(names: &[&str]) -> Option<Self> {
        let reference: Option<Vec<PathBuf>> =
            names.iter().map(|name| require_reference(name)).collect();
        let reference = reference.filter(|_| require_root())?;
        let plugins = Self::new();
        for (name, from) in names.iter().zip(reference) {
            fs::copy(from, plugins.path(name)).unwrap();
        }
        Some(plugins)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Another project's plugin.
    #[track_caller]
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }

    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// All names, sorted.
    #[track_caller]
    pub(crate) fn list(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    /// Inode, permissions, size and change time of each file.
    #[track_caller]
    pub(crate) fn state(&self) -> Vec<(String, [i64; 5])> {
        let state = |name: String| {
            let metadata = fs::symlink_metadata(self.path(&name)).unwrap();
            let numbers = [metadata.ino(), u64::from(metadata.mode()), metadata.size()];
            let [inode, mode, size] = numbers.map(|number| i64::try_from(number).unwrap());
            (
                name,
                [inode, mode, size, metadata.ctime(), metadata.ctime_nsec()],
            )
        };
        self.list().into_iter().map(state).collect()
    }

    /// What `twill` prints, with this directory named at the end.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> String {
        let mut words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        words.push(self.dir().as_os_str());
        let output = twill(&words);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let printed = String::from_utf8(output.stdout).unwrap();
        printed.replace(self.dir().to_str().unwrap(), "DIR")
    }

    /// What `twill` prints on standard error as it fails.
    #[track_caller]
    pub(crate) fn fail(&self, words: &[&str]) -> String {
        let mut words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        words.push(self.dir().as_os_str());
        let output = twill(&words);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let printed = String::from_utf8(output.stderr).unwrap();
        printed.replace(self.dir().to_str().unwrap(), "DIR")
    }
}

/// Runs the binary under test by its own name.
#[track_caller]
pub(crate) fn twill(words: &[impl AsRef<OsStr>]) -> Output {
    run(&binary(), words)
}

#[track_caller]
pub(crate) fn run(program: &Path, words: &[impl AsRef<OsStr>]) -> Output {
    let mut command = Command::new(program);
    command.env_clear().envs(coverage::environment());
    // For the programs of iptables.
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.args(words).output().unwrap()
}

pub(crate) fn binary() -> PathBuf {
    binaries::plugin("twill")
}

/// The Go plugins of [`node_of_go`].
pub(crate) const GO: [&str; 3] = ["bridge", "host-local", "portmap"];

/// A node with the Go plugins in `/opt/cni/bin`; `None` if the test is to be skipped.
#[track_caller]
pub(crate) fn node_of_go() -> Option<Node> {
    let reference: Option<Vec<_>> = GO.into_iter().map(require_reference).collect();
    let reference = reference.filter(|_| require_root())?;
    // Before /usr/lib/cni is hidden.
    let read = |path: PathBuf| fs::read(path).unwrap();
    let contents: Vec<Vec<u8>> = reference.into_iter().map(read).collect();
    let node = needs::node();
    for (name, contents) in GO.into_iter().zip(contents) {
        node.write(format!("/opt/cni/bin/{name}"), contents);
    }
    shell(&node, "chmod 755 /opt/cni/bin/*");
    Some(node)
}

/// What a script that has to succeed prints on a node.
#[track_caller]
pub(crate) fn shell(node: &Node, script: &str) -> String {
    let output = node.enter(|| Command::new("sh").args(["-ec", script]).output());
    let output = output.unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A call of a plugin in `/opt/cni/bin`.
pub(crate) fn call(plugin: &str, command: &str, to: &Container, conf: &Value) -> Invocation {
    Invocation::attach(format!("/opt/cni/bin/{plugin}"), command, &to.id)
        .netns(to.sandbox.path())
        .config(conf)
}

/// A server at port 80 of a container, which tells each client the container's ID.
pub(crate) fn serve(container: &Container) {
    let listener = container
        .sandbox
        .enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80)).unwrap());
    let id = container.id.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            drop(client.and_then(|mut client| client.write_all(id.as_bytes())));
        }
    });
}

/// What a server says, as the calling thread's namespace reaches it.
#[track_caller]
pub(crate) fn greeting(ip: &str, port: u16) -> String {
    let address = SocketAddr::new(ip.parse().unwrap(), port);
    let stream = TcpStream::connect_timeout(&address, traffic::TIMEOUT);
    let mut stream = stream.unwrap_or_else(|error| panic!("{address}: {error}"));
    let mut greeting = String::new();
    stream.read_to_string(&mut greeting).unwrap();
    greeting
}

/// What the node gets from a port of its own.
#[track_caller]
pub(crate) fn ask(node: &Node, port: u16) -> String {
    node.enter(|| greeting(conf::GATEWAY, port))
}
