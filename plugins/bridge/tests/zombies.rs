//! Zombies under a PID 1 that reaps nothing. The test's process takes the place of PID 1, which
//! would affect other tests of the same process, so this test has a binary of its own.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde_json::json;

use crate::support::conf::{BRIDGE, ipv4};
use crate::support::lab::{Container, Lab};
use crate::support::side::ours;

ours!(one_per_del);

/// The number of containers.
const CONTAINERS: usize = 3;

/// The names and states of this process's children (proc_pid_stat(5)).
fn children() -> Vec<(Pid, String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let (before, after) = stat.rsplit_once(") ").unwrap();
        let (pid, name) = before.split_once(" (").unwrap();
        let mut after = after.split(' ');
        let state = after.next().unwrap().to_owned();
        if after.next().unwrap() == process::id().to_string() {
            let pid = Pid::from_raw(pid.parse().unwrap());
            found.push((pid, name.to_owned(), state));
        }
    }
    found
}

fn one_per_del(lab: &Lab) {
    prctl::set_child_subreaper(true).unwrap();
    let conf = ipv4(json!({}));
    let container = Container::new("a");
    for _ in 0..CONTAINERS {
        lab.add(&container, &conf);
        lab.del(&container, &conf);
        assert_eq!(lab.link_names(), ["lo", BRIDGE]);
    }
    // Each process ends by itself, and only its PID remains.
    let deadline = Instant::now() + Duration::from_secs(20);
    while children().iter().any(|(_, _, state)| state != "Z") {
        assert!(Instant::now() < deadline, "{:?}", children());
        thread::sleep(Duration::from_millis(5));
    }
    let left = children();
    let names: Vec<&str> = left.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["twill-unlink"; CONTAINERS]);
    for (pid, _, _) in left {
        waitpid(pid, None).unwrap();
    }
}
