//! A delegate that follows a script, and records its calls.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::coverage;

// Checked in and linked to, never written by a test: a file that some thread of this process has
// open for writing, or has passed on to a child that is just being started, cannot be run.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripted-delegate.sh");

/// A plugin in a directory of its own, to be found by its type in `CNI_PATH`.
///
/// Without a script it succeeds: ADD prints a result in the netconf's version with the
/// interface that was asked for and no address, the other commands print nothing.
#[derive(Debug)]
pub struct ScriptedDelegate {
    dir: TempDir,
    plugin: PathBuf,
}

/// What the delegate does on one command. Each setting holds from the next call on.
#[derive(Debug)]
pub struct Script {
    dir: PathBuf,
    command: String,
}

/// One call of the delegate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedCall {
    /// `CNI_COMMAND`.
    pub command: String,
    /// The whole environment; what is not UTF-8 in it is replaced.
    pub env: BTreeMap<String, String>,
    /// All of stdin; empty as long as it is still being read.
    pub stdin: Vec<u8>,
    /// The names of the links in the container's namespace during the call, if it was asked for
    /// ([`Script::record_links`]).
    pub links: Vec<String>,
    /// The delegate's process, once it is known.
    pub pid: Option<u32>,
    /// The process that it left in the background ([`Script::leave`]), once it is known.
    pub left: Option<u32>,
}

impl ScriptedDelegate {
    /// A delegate of this type, such as `bridge`.
    ///
    /// # Panics
    /// If its temporary directory cannot be made.
    #[must_use]
    pub fn new(plugin_type: &str) -> Self {
        let dir =
            TempDir::with_prefix("twill-delegate-").expect("a temporary directory can be made");
        for name in ["bin", "script", "calls"] {
            fs::create_dir(dir.path().join(name)).expect("the delegate's directories can be made");
        }
        let plugin = dir.path().join("bin").join(plugin_type);
        symlink(SCRIPT, &plugin).expect("the delegate can be linked");
        Self { dir, plugin }
    }

    /// The directory for `CNI_PATH`, with nothing but the delegate in it.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("bin")
    }

    /// The delegate itself.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.plugin
    }

    /// What to do on a command, such as `ADD`.
    #[must_use]
    pub fn on(&self, command: &str) -> Script {
        Script {
            dir: self.dir.path().join("script"),
            command: command.into(),
        }
    }

    /// The calls so far, in the order in which they began.
    ///
    /// # Panics
    /// If the records cannot be read.
    #[must_use]
    pub fn calls(&self) -> Vec<RecordedCall> {
        let calls = self.dir.path().join("calls");
        (1..)
            .map_while(|number| read_call(&calls, number))
            .collect()
    }
}

fn read_call(calls: &Path, number: usize) -> Option<RecordedCall> {
    let command = fs::read_to_string(calls.join(format!("{number}.command"))).ok()?;
    let part = |name| fs::read(calls.join(format!("{number}.{name}"))).unwrap_or_default();
    let env = part("env")
        .split(|byte| *byte == 0)
        .filter(|variable| !variable.is_empty())
        .filter_map(|variable| {
            let variable = String::from_utf8_lossy(variable);
            variable
                .split_once('=')
                .map(|(name, value)| (name.into(), value.into()))
        })
        .filter(|(name, _): &(String, String)| !coverage::has(name))
        .collect();
    let links = String::from_utf8_lossy(&part("links"))
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()))
        .collect();
    let is_read = calls.join(format!("{number}.read")).exists();
    let process = |name| String::from_utf8_lossy(&part(name)).trim().parse().ok();
    Some(RecordedCall {
        command,
        env,
        stdin: if is_read { part("stdin") } else { Vec::new() },
        links,
        pid: process("pid"),
        left: process("left"),
    })
}

impl Script {
    /// Prints this on stdout instead of the usual result.
    #[track_caller]
    pub fn stdout(self, text: impl AsRef<[u8]>) -> Self {
        self.set("stdout", text.as_ref())
    }

    /// Prints this on stderr.
    #[track_caller]
    pub fn stderr(self, text: impl AsRef<[u8]>) -> Self {
        self.set("stderr", text.as_ref())
    }

    /// Ends with this exit code.
    #[track_caller]
    pub fn exit(self, code: u8) -> Self {
        self.set("exit", code.to_string().as_bytes())
    }

    /// Ends itself by a signal, after printing.
    #[track_caller]
    pub fn kill(self, signal: i32) -> Self {
        self.set("kill", signal.to_string().as_bytes())
    }

    /// Waits, after reading stdin and before printing.
    #[track_caller]
    pub fn sleep(self, time: Duration) -> Self {
        self.set("sleep", time.as_secs_f64().to_string().as_bytes())
    }

    /// Never ends by itself: it hangs in its own process, after reading stdin.
    #[track_caller]
    pub fn hang(self) -> Self {
        self.set("hang", b"")
    }

    /// Records which links there are in the container's namespace.
    #[track_caller]
    pub fn record_links(self) -> Self {
        self.set("links", b"")
    }

    /// Leaves a process in the background that lives for this long and has inherited everything
    /// that is open.
    #[track_caller]
    pub fn leave(self, time: Duration) -> Self {
        self.set("leave", time.as_secs_f64().to_string().as_bytes())
    }

    /// As [`Script::leave`], but the process has closed the standard streams, as a daemon does.
    #[track_caller]
    pub fn leave_daemon(self, time: Duration) -> Self {
        self.set("daemon", b"").leave(time)
    }

    /// Goes back to the usual reply.
    pub fn reset(self) -> Self {
        for name in [
            "links", "stdout", "stderr", "exit", "kill", "sleep", "hang", "leave", "daemon",
        ] {
            drop(fs::remove_file(self.file(name)));
        }
        self
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}.{name}", self.command))
    }

    #[track_caller]
    fn set(self, name: &str, value: &[u8]) -> Self {
        // Renamed into place, since a call may be running.
        let (file, aside) = (self.file(name), self.file("new"));
        if let Err(error) = fs::write(&aside, value).and_then(|()| fs::rename(&aside, &file)) {
            panic!("cannot write {}: {error}", file.display());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::*;
    use crate::invocation::Invocation;

    fn call(delegate: &ScriptedDelegate, command: &str) -> Invocation {
        Invocation::attach(delegate.program(), command, "c1")
            .config(&json!({"cniVersion": "1.0.0", "name": "n", "type": "bridge"}))
    }

    #[test]
    fn the_usual_replies() {
        let delegate = ScriptedDelegate::new("bridge");
        let sandbox = "/run/netns/c1";
        let result = call(&delegate, "ADD").run().success();
        let interfaces = json!([{"name": "eth0", "sandbox": sandbox}]);
        assert_eq!(
            result,
            json!({"cniVersion": "1.0.0", "interfaces": interfaces, "ips": []})
        );
        let old = call(&delegate, "ADD")
            .config(&json!({"cniVersion": "0.2.0"}))
            .run()
            .success();
        assert_eq!(old, json!({"cniVersion": "0.2.0"}));
        let oldest = call(&delegate, "ADD")
            .config(&json!({"name": "n"}))
            .run()
            .success();
        assert_eq!(oldest, json!({"cniVersion": "0.1.0"}));
        for command in ["DEL", "CHECK", "GC", "STATUS", "VERSION"] {
            call(&delegate, command).run().silent();
        }
    }

    #[test]
    fn calls_are_recorded_whole_and_in_order() {
        let delegate = ScriptedDelegate::new("bridge");
        assert_eq!(delegate.calls(), []);
        let stdin = b"\0 bytes, no JSON\n\n".to_vec();
        call(&delegate, "ADD")
            .args("K=a b=c\n\"")
            .env("PATH", "/nowhere")
            .stdin(&*stdin)
            .run();
        call(&delegate, "DEL").without("PATH").run().silent();
        let calls = delegate.calls();
        assert_eq!(
            calls.iter().map(|call| &*call.command).collect::<Vec<_>>(),
            ["ADD", "DEL"]
        );
        assert_eq!(calls[0].stdin, stdin);
        let dir = delegate.dir();
        let expected = [
            ("CNI_ARGS", "K=a b=c\n\""),
            ("CNI_COMMAND", "ADD"),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_NETNS", "/run/netns/c1"),
            ("CNI_PATH", dir.to_str().unwrap()),
            ("PATH", "/nowhere"),
        ];
        assert_eq!(
            calls[0].env,
            expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
        );
        assert!(!calls[1].env.contains_key("PATH"), "{calls:?}");
    }

    #[test]
    fn it_follows_its_script() {
        let delegate = ScriptedDelegate::new("bridge");
        let error = r#"{"code": 11, "msg": "try 'again' \\n %s"}"#;
        delegate.on("ADD").stdout(error).stderr("why\n").exit(1);
        let outcome = call(&delegate, "ADD").run();
        assert_eq!(outcome.stdout, error.as_bytes());
        assert_eq!(outcome.stderr, b"why\n");
        assert_eq!(outcome.failure().code, 11);

        delegate.on("DEL").kill(9).sleep(Duration::from_millis(50));
        let start = Instant::now();
        assert_eq!(call(&delegate, "DEL").run().signal, Some(9));
        assert!(start.elapsed() >= Duration::from_millis(50));

        delegate.on("DEL").reset();
        call(&delegate, "DEL").run().silent();
        assert_eq!(delegate.calls().len(), 3);
    }

    #[test]
    fn it_hangs_until_it_is_killed_and_leaves_what_it_started() {
        let delegate = ScriptedDelegate::new("bridge");
        delegate.on("ADD").hang().leave(Duration::from_millis(300));
        let running = call(&delegate, "ADD").start();
        while delegate
            .calls()
            .first()
            .is_none_or(|call| call.left.is_none())
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        let calls = delegate.calls();
        assert_eq!(calls[0].pid, Some(running.pid()));
        let left = calls[0].left.unwrap();
        assert!(Path::new(&format!("/proc/{left}")).exists());
        running.kill();
        // It waits for the end of stdout too, which is with the last of them.
        let outcome = running.wait();
        assert_eq!(outcome.signal, Some(9));
    }

    #[test]
    fn calls_at_the_same_time_are_all_recorded() {
        let delegate = ScriptedDelegate::new("bridge");
        let running: Vec<_> = (0..8).map(|_| call(&delegate, "ADD").start()).collect();
        running
            .into_iter()
            .for_each(|call| drop(call.wait().success()));
        let calls = delegate.calls();
        assert_eq!(calls.len(), 8);
        assert!(calls.iter().all(|call| !call.stdin.is_empty()), "{calls:?}");
    }
}
