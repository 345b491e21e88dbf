//! Running a plugin the way a container runtime does.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use serde_json::Value;

use crate::coverage;
use crate::outcome::Outcome;

const DEFAULT_LIMIT: Duration = Duration::from_secs(120);

/// How long a program may be open for writing.
const BUSY: Duration = Duration::from_secs(10);

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One call of a plugin: its program, its environment and its stdin.
///
/// The environment holds `PATH`, `CNI_COMMAND` and what the setters add; nothing else of the test's
/// own environment reaches the plugin, but for what measures [`coverage`].
#[derive(Clone, Debug)]
pub struct Invocation {
    program: PathBuf,
    /// A program that runs `program`, and its arguments.
    launcher: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Invocation {
    /// A call of `program` with nothing but `PATH` and `CNI_COMMAND`, and an empty stdin.
    pub fn new(program: impl Into<PathBuf>, command: &str) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        let env = [
            ("PATH".into(), path),
            ("CNI_COMMAND".into(), command.into()),
        ];
        Self {
            program: program.into(),
            launcher: Vec::new(),
            env: env.into(),
            stdin: Vec::new(),
            limit: DEFAULT_LIMIT,
        }
    }

    /// A call with all that a runtime passes: interface `eth0`, the netns path `/run/netns/<id>`
    /// (which need not exist) and the program's own directory as `CNI_PATH`.
    pub fn attach(program: impl Into<PathBuf>, command: &str, container_id: &str) -> Self {
        let program = program.into();
        let dir = program.parent().unwrap_or(Path::new("/")).to_owned();
        Self::new(program, command)
            .container(container_id)
            .ifname("eth0")
            .netns(format!("/run/netns/{container_id}"))
            .path(dir)
    }

    /// Sets `CNI_COMMAND`, for the next call of the same attachment.
    pub fn command(self, command: &str) -> Self {
        self.env("CNI_COMMAND", command)
    }

    /// Sets `CNI_CONTAINERID`.
    pub fn container(self, id: impl AsRef<OsStr>) -> Self {
        self.env("CNI_CONTAINERID", id)
    }

    /// Sets `CNI_IFNAME`.
    pub fn ifname(self, name: impl AsRef<OsStr>) -> Self {
        self.env("CNI_IFNAME", name)
    }

    /// Sets `CNI_NETNS`.
    pub fn netns(self, path: impl AsRef<OsStr>) -> Self {
        self.env("CNI_NETNS", path)
    }

    /// Sets `CNI_ARGS`, as `K=V;K=V`.
    pub fn args(self, args: impl AsRef<OsStr>) -> Self {
        self.env("CNI_ARGS", args)
    }

    /// Sets `CNI_PATH` to a string: one directory, or several with `:` between them.
    pub fn path(self, path: impl AsRef<OsStr>) -> Self {
        self.env("CNI_PATH", path)
    }

    /// Sets `CNI_PATH` to a list of directories.
    #[track_caller]
    pub fn paths(self, dirs: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let joined = std::env::join_paths(dirs).expect("no directory of CNI_PATH has a `:` in it");
        self.path(joined)
    }

    /// Sets any variable, also to a value that is not UTF-8.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Leaves a variable out.
    pub fn without(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.remove(name.as_ref());
        self
    }

    /// The network configuration for stdin.
    pub fn config(self, config: &Value) -> Self {
        self.stdin(config.to_string())
    }

    /// The bytes for stdin.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// How long the call may take until the plugin is killed and the test fails: by default 2 min,
    /// as a busy emulated machine needs more than 30 s for some.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Has another program, such as strace, run the plugin: its name and its arguments, which the
    /// plugin's path follows.
    pub fn under(mut self, launcher: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let words = launcher.into_iter();
        self.launcher = words.map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// Runs the plugin to its end: its exit and, as libcni waits for it, the end of stdout and
    /// stderr.
    ///
    /// # Panics
    /// If the program cannot be started or the time limit passes.
    #[track_caller]
    pub fn run(&self) -> Outcome {
        self.start().wait()
    }

    /// Starts the plugin, to look at it or to kill it while it runs.
    ///
    /// # Panics
    /// If the program cannot be started.
    #[track_caller]
    pub fn start(&self) -> Running {
        let started = Instant::now();
        let mut command = match self.launcher.split_first() {
            Some((launcher, arguments)) => {
                let mut command = Command::new(launcher);
                command.args(arguments).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        // A process group of its own, so that the time limit ends delegates too.
        command
            .env_clear()
            .envs(coverage::environment())
            .envs(&self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let give_up = Instant::now() + BUSY;
        let mut child = loop {
            match command.spawn() {
                Ok(child) => break child,
                // A program that a test has just written is still open in a process that another
                // test has forked and that has not called execve(2) yet.
                Err(error)
                    if error.kind() == ErrorKind::ExecutableFileBusy
                        && Instant::now() < give_up =>
                {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("cannot start {}: {error}\n{self}", self.program.display()),
            }
        };
        let pid = Pid::from_raw(child.id().cast_signed());
        let (events, incoming) = channel();

        let mut input = child.stdin.take().expect("stdin is piped");
        let bytes = self.stdin.clone();
        // A plugin may close its stdin early or never read it, so a failed write says nothing.
        thread::spawn(move || drop(input.write_all(&bytes)));
        read_all(
            child.stdout.take().expect("stdout is piped"),
            Event::Stdout,
            &events,
        );
        read_all(
            child.stderr.take().expect("stderr is piped"),
            Event::Stderr,
            &events,
        );
        // NOWAIT leaves the zombie, so that the pid stays the child's own until `finish` reaps it.
        thread::spawn(move || {
            while let Err(nix::Error::EINTR) =
                waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
            {}
            drop(events.send(Event::Exit(Instant::now())));
        });
        let until = started + self.limit;
        Running {
            child,
            pid,
            incoming,
            started,
            until,
            call: self.clone(),
            reaped: false,
        }
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "program: {}", self.program.display())?;
        for (name, value) in &self.env {
            writeln!(f, "  {}={}", name.display(), value.display())?;
        }
        const SHOWN: usize = 4096;
        let start = self.stdin.get(..SHOWN).unwrap_or(&self.stdin);
        let more = if self.stdin.len() > SHOWN { "…" } else { "" };
        let length = self.stdin.len();
        write!(
            f,
            "stdin ({length} bytes): {}{more}",
            String::from_utf8_lossy(start)
        )
    }
}

enum Event {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    Exit(Instant),
}

fn read_all(
    mut from: impl Read + Send + 'static,
    event: fn(Vec<u8>) -> Event,
    events: &Sender<Event>,
) {
    let events = events.clone();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is still worth showing.
        drop(from.read_to_end(&mut bytes));
        drop(events.send(event(bytes)));
    });
}

/// A plugin that runs. Dropped before its end, it is killed with all of its process group.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pid: Pid,
    incoming: Receiver<Event>,
    started: Instant,
    until: Instant,
    call: Invocation,
    reaped: bool,
}

impl Running {
    /// The plugin's process id, which is its process group's id as well.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the plugin, and only it, with SIGKILL: what a runtime does with one that is late.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Sends a signal to the plugin, and only to it.
    pub fn signal(&self, signal: Signal) {
        // Cannot fail in a way that matters: the process is there, at least as a zombie.
        let _ = kill(self.pid, signal);
    }

    /// Waits for the plugin's exit and the end of its stdout and stderr.
    ///
    /// # Panics
    /// If the time limit passes.
    #[track_caller]
    pub fn wait(mut self) -> Outcome {
        let mut ended = None;
        let mut stdout = None;
        let mut stderr = None;
        let mut late = false;
        while ended.is_none() || stdout.is_none() || stderr.is_none() {
            match self
                .incoming
                .recv_timeout(self.until.saturating_duration_since(Instant::now()))
            {
                Ok(Event::Exit(at)) => ended = Some(at),
                Ok(Event::Stdout(bytes)) => stdout = Some(bytes),
                Ok(Event::Stderr(bytes)) => stderr = Some(bytes),
                Err(_) if late => break,
                Err(_) => {
                    // The killed let go of their ends of the pipes, so the rest comes at once.
                    late = true;
                    self.until = Instant::now() + Duration::from_secs(2);
                    let _ = killpg(self.pid, Signal::SIGKILL);
                    continue;
                }
            }
        }
        let status = self.child.wait().expect("the plugin can be waited for");
        self.reaped = true;
        let outcome = Outcome {
            code: status.code(),
            signal: status.signal(),
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
            elapsed: ended.unwrap_or_else(Instant::now) - self.started,
            call: self.call.clone(),
        };
        if late {
            let limit = self.call.limit;
            panic!(
                "the plugin, or a child that holds its stdout, was not done in {limit:?} and was \
                 killed\n{outcome}"
            );
        }
        outcome
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = killpg(self.pid, Signal::SIGKILL);
            drop(self.child.wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn megabytes() -> Vec<u8> {
        b"0123456789".repeat(500_000)
    }

    #[test]
    fn megabytes_pass_through() {
        let outcome = Invocation::new("/bin/cat", "ADD").stdin(megabytes()).run();
        assert_eq!(outcome.code, Some(0));
        assert!(
            outcome.stdout == megabytes(),
            "cat gave back {} bytes",
            outcome.stdout.len()
        );
    }

    #[test]
    fn a_program_that_ignores_stdin_is_no_error() {
        Invocation::new("/bin/true", "ADD")
            .stdin(megabytes())
            .run()
            .silent();
    }

    #[test]
    fn the_environment_is_what_was_set() {
        let outcome = Invocation::attach("/usr/bin/env", "DEL", "c1")
            .args("IP=10.0.0.1")
            .run();
        let stdout = String::from_utf8(outcome.stdout).unwrap();
        let is_set = |line: &&str| {
            let (name, _) = line.split_once('=').unwrap();
            name != "PATH" && !coverage::has(name)
        };
        let mut lines: Vec<_> = stdout.lines().filter(is_set).collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "CNI_ARGS=IP=10.0.0.1",
                "CNI_COMMAND=DEL",
                "CNI_CONTAINERID=c1",
                "CNI_IFNAME=eth0",
                "CNI_NETNS=/run/netns/c1",
                "CNI_PATH=/usr/bin",
            ]
        );
    }

    #[test]
    fn the_outcome_has_the_signal() {
        let running = Invocation::new("/usr/bin/yes", "ADD").start();
        running.kill();
        let outcome = running.wait();
        assert_eq!((outcome.code, outcome.signal), (None, Some(9)));
    }

    #[test]
    fn a_late_plugin_is_killed() {
        let start = Instant::now();
        let failed = std::panic::catch_unwind(|| {
            Invocation::new("/usr/bin/yes", "ADD")
                .limit(Duration::from_millis(100))
                .run()
        });
        let message = failed.unwrap_err();
        let message = message.downcast_ref::<String>().unwrap();
        assert!(
            message.contains("was not done in 100ms and was killed"),
            "{message}"
        );
        assert!(message.contains("ended by signal 9"), "{message}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
