//! Network namespaces that are held by an open file.

use std::fs::File;
use std::io::{Write, pipe};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use anyhow::{Context, Result, ensure};
use nix::libc::{IFF_UP, NLM_F_ACK, NLM_F_REQUEST, RTM_NEWLINK};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use serde_json::{Deserializer, Value};

/// A network namespace of its own with nothing but `lo`, which is up.
///
/// Nothing is mounted for it: it is gone with this value, or with the process however that ends.
#[derive(Debug)]
pub struct NetNs {
    file: File,
}

impl NetNs {
    /// Makes a namespace.
    ///
    /// # Errors
    /// Without the right to make namespaces (root).
    pub fn new() -> Result<Self> {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .context("cannot make a network namespace: this needs root")?;
            set_lo_up().context("cannot set `lo` up")?;
            let path = "/proc/thread-self/ns/net";
            File::open(path).with_context(|| format!("cannot open {path}"))
        });
        Ok(Self {
            file: made.join().expect("making a namespace does not panic")?,
        })
    }

    /// An existing namespace, such as a container's.
    ///
    /// # Errors
    /// If the path cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { file })
    }

    /// A path by which any process of the machine can open the namespace, for `CNI_NETNS`.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }

    /// Runs a closure on a thread inside the namespace; commands that it starts are inside too.
    ///
    /// `/proc/self/net` is not of this namespace there, `/proc/thread-self/net` is.
    ///
    /// # Panics
    /// If the closure panics.
    pub fn enter<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        on_a_thread(|| {
            self.join();
            inside()
        })
    }

    /// Runs a command inside the namespace.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn command(&self, command: &mut Command) -> Output {
        match self.enter(|| command.output()) {
            Ok(output) => output,
            Err(error) => panic!("cannot run {command:?}: {error}"),
        }
    }

    /// Runs `ip` inside the namespace, with arguments that have a blank between them, or once for
    /// several lines of arguments.
    ///
    /// # Panics
    /// If a command fails.
    #[track_caller]
    pub fn ip(&self, args: &str) {
        let output = self.command(&mut ip(args));
        assert!(output.status.success(), "ip {args}: {output:?}");
    }

    /// What `ip -j <args>` prints inside the namespace.
    ///
    /// # Panics
    /// If the command fails.
    #[track_caller]
    pub fn ip_json(&self, args: &[&str]) -> Value {
        parse_ip(args, &self.command(Command::new("ip").arg("-j").args(args)))
    }

    /// What `ip -j -d` prints inside the namespace, run once for several lines of arguments.
    ///
    /// # Panics
    /// If a command fails.
    #[track_caller]
    pub(crate) fn ip_json_of_all(&self, lines: &str) -> Vec<Value> {
        let output = self.command(ip(lines).args(["-j", "-d"]));
        assert!(output.status.success(), "ip -j -d {lines}: {output:?}");
        let printed = Deserializer::from_slice(&output.stdout).into_iter();
        let printed: serde_json::Result<_> = printed.collect();
        printed.unwrap_or_else(|error| panic!("ip -j -d {lines}: {error}: {output:?}"))
    }

    /// Moves the calling thread into the namespace.
    pub(crate) fn join(&self) {
        setns(&self.file, CloneFlags::CLONE_NEWNET)
            .expect("an open network namespace can be joined");
    }
}

/// Runs a closure on a thread that may change its namespaces, since it ends with the closure.
pub(crate) fn on_a_thread<T: Send>(inside: impl FnOnce() -> T + Send) -> T {
    let joined = thread::scope(|scope| scope.spawn(inside).join());
    joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Sets `lo` up in the calling thread's namespace (rtnetlink(7)). To run `ip` takes longer than to
/// make the namespace, and a run of all tests makes thousands.
fn set_lo_up() -> Result<()> {
    const INDEX_OF_LO: u32 = 1;
    let up = (IFF_UP as u32).to_ne_bytes();
    let request: [&[u8]; 7] = [
        &32u32.to_ne_bytes(),
        &RTM_NEWLINK.to_ne_bytes(),
        &((NLM_F_REQUEST | NLM_F_ACK) as u16).to_ne_bytes(),
        // Sequence number, port, family and type.
        &[0; 12],
        &INDEX_OF_LO.to_ne_bytes(),
        // The flags, and which of them change.
        &up,
        &up,
    ];
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let socket = socket.as_raw_fd();
    send(socket, &request.concat(), MsgFlags::empty())?;
    let mut reply = [0; 64];
    recv(socket, &mut reply, MsgFlags::empty())?;
    // After the header of the acknowledgement is 0, or a number of an error.
    ensure!(reply[16..20] == [0; 4], "the kernel replies {reply:?}");
    Ok(())
}

/// The command `ip` with arguments that have a blank between them; several lines of arguments are
/// for one process.
pub(crate) fn ip(args: &str) -> Command {
    let mut ip = Command::new("ip");
    if args.contains('\n') {
        let (input, mut lines) = pipe().expect("a pipe can be made");
        lines
            .write_all(args.as_bytes())
            .expect("a pipe has room for some lines");
        ip.args(["-batch", "-"]).stdin(input);
    } else {
        ip.args(args.split(' '));
    }
    ip
}

#[track_caller]
pub(crate) fn parse_ip(args: &[&str], output: &Output) -> Value {
    let command = format!("ip -j {}", args.join(" "));
    assert!(output.status.success(), "`{command}` failed: {output:?}");
    // `ip` prints nothing at all where the list is empty.
    if output.stdout.iter().all(u8::is_ascii_whitespace) {
        return Value::Array(Vec::new());
    }
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("`{command}` printed no JSON: {error}: {output:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requirements::require_root;

    #[test]
    fn a_namespace_has_only_its_own_lo() {
        if !require_root() {
            return;
        }
        let netns = NetNs::new().unwrap();
        let links = netns.ip_json(&["link"]);
        assert_eq!(links.as_array().unwrap().len(), 1, "{links}");
        assert_eq!(links[0]["ifname"], "lo");
        assert!(
            links[0]["flags"].as_array().unwrap().contains(&"UP".into()),
            "{links}"
        );
        assert_eq!(
            netns.ip_json(&["route", "show", "table", "main"]),
            serde_json::json!([])
        );
    }

    #[test]
    fn another_process_can_open_it_by_its_path() {
        if !require_root() {
            return;
        }
        let netns = NetNs::new().unwrap();
        let outside = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let inside = netns.enter(|| std::fs::read_link("/proc/thread-self/ns/net").unwrap());
        assert_ne!(inside, outside);
        let opened = Command::new("readlink").arg(netns.path()).output().unwrap();
        assert_eq!(
            String::from_utf8(opened.stdout).unwrap().trim(),
            inside.to_str().unwrap()
        );
        assert_eq!(
            std::fs::read_link("/proc/thread-self/ns/net").unwrap(),
            outside
        );
    }

    #[test]
    #[should_panic(expected = "from inside")]
    fn a_panic_inside_fails_the_test() {
        on_a_thread(|| panic!("from inside"));
    }
}
