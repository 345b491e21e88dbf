//! Locks that people remove or replace, locks with many waiters, and file systems without locks.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Invocation, Outcome, Strace, binaries};

struct Network {
    temp: TempDir,
    backend: &'static str,
}

const BACKENDS: [&str; 2] = ["disk", "db"];

impl Network {
    fn new(backend: &'static str) -> Self {
        let temp = tempfile::tempdir().unwrap();
        Self { temp, backend }
    }

    fn lock(&self) -> PathBuf {
        self.temp.path().join(match self.backend {
            "disk" => "net/lock",
            _ => ".addresses.lock",
        })
    }

    fn config(&self) -> Value {
        let ipam = json!({
            "type": "host-local",
            "dataDir": self.temp.path(),
            "backend": self.backend,
            "subnet": "10.1.0.0/16",
        });
        json!({"cniVersion": "1.1.0", "name": "net", "ipam": ipam, "cni.dev/valid-attachments": []})
    }

    fn call(&self, command: &str, container: &str) -> Outcome {
        Invocation::attach(binaries::plugin("host-local"), command, container)
            .config(&self.config())
            .run()
    }

    fn add(&self, container: &str) -> String {
        let result = self.call("ADD", container).success();
        result["ips"][0]["address"].as_str().unwrap().to_owned()
    }

    /// Runs a command with a fault in strace's syntax.
    fn run_tampered(
        &self,
        strace: &Strace,
        injection: &str,
        command: &str,
        container: &str,
    ) -> Outcome {
        let call = Invocation::attach(binaries::plugin("host-local"), command, container);
        let injection = format!("inject={injection}");
        let expressions = ["trace=flock", &injection];
        strace.of(call.config(&self.config()), &expressions).run()
    }
}

/// Processes that hold a lock one after the other, each for 50 ms or, on a busy machine, longer.
struct Queue(Vec<JoinHandle<Instant>>);

impl Queue {
    fn of(length: usize, lock: &Path) -> Self {
        let hold = |_| {
            let mut flock = Command::new("flock");
            let mut holder = flock.arg(lock).args(["sleep", "0.05"]).spawn().unwrap();
            spawn(move || {
                holder.wait().unwrap();
                Instant::now()
            })
        };
        Self((0..length).map(hold).collect())
    }

    /// Waits for all of them. Returns the longest time between two releases of the lock.
    fn longest_hold(self) -> Duration {
        let ends = self.0.into_iter().map(|holder| holder.join().unwrap());
        let mut ends: Vec<Instant> = ends.collect();
        ends.sort_unstable();
        let holds = ends.windows(2).map(|pair| pair[1] - pair[0]);
        holds.max().unwrap_or_default()
    }
}

#[test]
fn status_succeeds_while_a_lock_changes_hands() {
    for backend in BACKENDS {
        let network = Network::new(backend);
        network.add("c1");
        let mut waited = false;
        for _ in 0..20 {
            let queue = Queue::of(20, &network.lock());
            sleep(Duration::from_millis(200));
            let status = network.call("STATUS", "");
            // STATUS is right to complain about a process that has held the lock that long.
            if queue.longest_hold() > Duration::from_millis(300) {
                continue;
            }
            // STATUS may have got the lock before its timeout.
            waited = status.elapsed > Duration::from_millis(500);
            status.silent();
            if waited {
                break;
            }
        }
        assert!(waited, "{backend}");

        let holder = File::open(network.lock()).unwrap();
        holder.lock().unwrap();
        let failure = network.call("STATUS", "").failure();
        assert_eq!(failure.code, 50);
        let message = format!(
            "{} is locked by process {} for more than 0.5 s: wait for it or end it",
            network.lock().display(),
            std::process::id()
        );
        assert!(failure.msg.ends_with(&message), "{}", failure.msg);
    }
}

#[test]
fn removing_the_lock_file_repeatedly_loses_no_address() {
    const THREADS: usize = 5;
    const ADDS: usize = 12;
    for backend in BACKENDS {
        let network = Network::new(backend);
        network.add("first");
        let done = AtomicBool::new(false);
        let given: BTreeSet<String> = thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let _ = fs::remove_file(network.lock());
                    sleep(Duration::from_millis(1));
                }
            });
            let adders: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let network = &network;
                    scope.spawn(move || {
                        let ids = (0..ADDS).map(|turn| format!("c{thread}-{turn}"));
                        ids.map(|id| network.add(&id)).collect::<Vec<_>>()
                    })
                })
                .collect();
            let given: Vec<_> = adders.into_iter().map(|adder| adder.join()).collect();
            done.store(true, Ordering::SeqCst);
            given.into_iter().flat_map(Result::unwrap).collect()
        });
        assert_eq!(given.len(), THREADS * ADDS, "{backend}");
        // Each address belongs to its container, and is released with it.
        for id in (0..THREADS).flat_map(|thread| (0..ADDS).map(move |turn| (thread, turn))) {
            let container = format!("c{}-{}", id.0, id.1);
            network.call("CHECK", &container).silent();
        }
        network.call("GC", "").silent();
        assert_eq!(network.call("CHECK", "c0-0").failure().code, 120);
    }
}

/// Creates a file of another kind at a path.
fn put(kind: &str, path: &Path) {
    match kind {
        "a FIFO" => {
            let made = Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        }
        "a directory" => fs::create_dir(path).unwrap(),
        "a socket" => drop(UnixListener::bind(path).unwrap()),
        "a link to nothing" => symlink("nothing", path).unwrap(),
        "a link to a file" => symlink("/etc/hostname", path).unwrap(),
        other => panic!("{other}"),
    }
}

fn remove(path: &Path) {
    fs::remove_file(path)
        .or_else(|_| fs::remove_dir(path))
        .unwrap();
}

#[test]
fn del_and_gc_work_without_a_lock_file_that_can_be_locked() {
    for backend in BACKENDS {
        for kind in [
            "a FIFO",
            "a directory",
            "a socket",
            "a link to nothing",
            "a link to a file",
        ] {
            let network = Network::new(backend);
            for container in ["c1", "c2", "c3"] {
                network.add(container);
            }
            remove(&network.lock());
            put(kind, &network.lock());
            for command in ["ADD", "CHECK", "STATUS"] {
                let failure = network.call(command, "c4").failure();
                let message = format!(
                    "{} is no regular file: remove it if nobody needs it",
                    network.lock().display()
                );
                assert!(failure.msg.contains(&message), "{command}: {}", failure.msg);
            }
            network.call("DEL", "c1").silent();
            network.call("DEL", "c1").silent();
            remove(&network.lock());
            assert_eq!(network.call("CHECK", "c1").failure().code, 120);
            network.call("CHECK", "c2").silent();
            remove(&network.lock());
            put(kind, &network.lock());
            network.call("GC", "").silent();
            remove(&network.lock());
            for container in ["c2", "c3"] {
                let failure = network.call("CHECK", container).failure();
                assert_eq!(failure.code, 120, "{backend}, {kind}, {container}");
            }
            network.add("c1");
        }
    }
}

/// Processes that release without the lock file still exclude each other.
#[test]
fn a_release_without_the_lock_file_locks_the_directory() {
    for backend in BACKENDS {
        let network = Network::new(backend);
        network.add("c1");
        remove(&network.lock());
        put("a directory", &network.lock());
        let directory = network.lock().parent().unwrap().to_owned();
        let holder = File::open(&directory).unwrap();
        holder.lock().unwrap();
        let mut config = network.config();
        config["ipam"]["lockTimeout"] = 0.1.into();
        let del = Invocation::attach(binaries::plugin("host-local"), "DEL", "c1").config(&config);
        let failure = del.run().failure();
        assert_eq!(failure.code, 11);
        drop(holder);
        del.run().silent();
    }
}

/// Another kind of file in the place of the database holds no addresses, except a link to a
/// database.
#[test]
fn another_kind_of_file_as_database_holds_no_addresses() {
    let network = Network::new("db");
    let file = network.temp.path().join(".addresses.db");
    for kind in ["a FIFO", "a directory", "a socket", "a link to nothing"] {
        put(kind, &file);
        let failure = network.call("ADD", "c1").failure();
        let message = format!(
            "{} is no regular file: remove it if nobody needs it",
            file.display()
        );
        assert_eq!((failure.code, &failure.msg), (5, &message), "{kind}");
        let status = network.call("STATUS", "").failure();
        assert_eq!(status.code, 50);
        assert!(status.msg.ends_with(&message), "{}", status.msg);
        network.call("DEL", "c1").silent();
        network.call("GC", "").silent();
        // A network of files works beside it.
        let mut config = network.config();
        config["ipam"]["backend"] = "disk".into();
        for command in ["ADD", "DEL", "STATUS", "GC"] {
            let call = Invocation::attach(binaries::plugin("host-local"), command, "c1");
            let outcome = call.config(&config).run();
            if command == "ADD" {
                outcome.success();
            } else {
                outcome.silent();
            }
        }
        remove(&file);
    }
    network.add("c1");
    let elsewhere = network.temp.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert_eq!(network.call("DEL", "c1").failure().code, 5);
    fs::rename(&elsewhere, &file).unwrap();
    network.call("DEL", "c1").silent();
}

#[test]
fn a_file_system_without_locks_on_directories_works() {
    let Some(strace) = Strace::new() else { return };
    for backend in BACKENDS {
        let network = Network::new(backend);
        // The first flock(2) is for the file, later ones are for directories.
        let ebadf = "flock:error=EBADF:when=2..3";
        for command in ["ADD", "DEL"] {
            let outcome = network.run_tampered(&strace, ebadf, command, "c1");
            assert_eq!(outcome.code, Some(0), "{backend}: {outcome}");
        }
        network.add("c2");
        // The lock of the file is required.
        let ebadf = "flock:error=EBADF:when=1";
        let outcome = network.run_tampered(&strace, ebadf, "ADD", "c3");
        assert_eq!(
            outcome.failure().msg,
            format!(
                "cannot lock {}: Bad file descriptor (os error 9)",
                network.lock().display()
            )
        );
        network.call("DEL", "c2").silent();
    }
}
