//! The state as soon as a DEL has returned, although the kernel has not acknowledged the removal of
//! the link yet.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::container::Container;
use crate::invocation::Invocation;
use crate::lab::Lab;
use crate::snapshot::{Observed, Snapshot, assert_same};

/// The name of the process that waits for the kernel.
const HELPER: &str = "twill-unlink\n";

/// The timeout of that wait, for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How often a container comes and goes.
const ROUNDS: usize = 5;

/// The address that a container asks for each time.
const ADDRESS: &str = "10.1.1.77";

/// Another address.
const OTHER_ADDRESS: &str = "10.1.1.78";

/// A configuration whose containers all ask for one address.
fn with_address(conf: &Value, address: &str) -> Value {
    let mut conf = conf.clone();
    conf["args"] = json!({ "cni": { "ips": [address] } });
    conf
}

/// A container comes and goes several times under the same name and address, each time at once.
/// `detach` makes a DEL as it likes. After each, everything is as it was before, and after the last
/// no process is left.
///
/// # Panics
/// If anything is left.
#[track_caller]
pub fn comes_and_goes<L: Observed>(
    lab: &L,
    container: &Container,
    conf: &Value,
    detach: impl Fn(&Invocation),
) {
    let conf = &with_address(conf, ADDRESS);
    // The network's directory and the bridge stay.
    lab.add(container, conf);
    lab.del(container, conf);
    let before = Snapshot::take(lab, &[container]);
    for _ in 0..ROUNDS {
        lab.add(container, conf);
        detach(&lab.call("DEL", container, conf));
        assert_gone(lab);
        // Snapshots take a while, in which the kernel may do the rest.
        lab.add(container, conf);
        detach(&lab.call("DEL", container, conf));
        assert_same(&before, &Snapshot::take(lab, &[container]), "ADD and DEL");
    }
    assert_no_process(lab);
}

/// ADDs fail, as the address that they ask for is another container's, which comes out when the
/// link has been made. After each, everything is as it was before, and the attachment can be added
/// at once.
///
/// # Panics
/// If anything is left.
#[track_caller]
pub fn an_add_that_fails<L: Observed>(lab: &L, conf: &Value) {
    let (taken, free) = (
        with_address(conf, ADDRESS),
        with_address(conf, OTHER_ADDRESS),
    );
    let (owner, container) = (Container::new("a"), Container::new("b"));
    lab.add(&owner, &taken);
    let before = Snapshot::take(lab, &[&owner, &container]);
    for _ in 0..ROUNDS {
        let error = lab.add_fails(&container, &taken);
        assert!(error.contains(ADDRESS), "{error}");
        let after = Snapshot::take(lab, &[&owner, &container]);
        assert_same(&before, &after, "an ADD that fails");
        lab.add_fails(&container, &taken);
        lab.add(&container, &free);
        lab.del(&container, &free);
        let after = Snapshot::take(lab, &[&owner, &container]);
        assert_same(&before, &after, "one that succeeds, and DEL");
    }
    assert_no_process(lab);
}

/// Nothing on the node knows the address, or has a port for it.
#[track_caller]
fn assert_gone(lab: &Lab) {
    for args in [&["neigh"][..], &["route", "show", "table", "all"]] {
        let found = lab.node.ip_json(args);
        assert!(!found.to_string().contains(ADDRESS), "{args:?}: {found}");
    }
    let list = || Command::new("bridge").arg("fdb").output().unwrap();
    let entries = lab.node.enter(list);
    assert!(entries.status.success(), "{entries:?}");
    let entries = String::from_utf8_lossy(&entries.stdout);
    assert!(!entries.contains("dev veth"), "{entries}");
}

/// No process is left in the node's network that waits for the kernel.
///
/// # Panics
/// If there is one after a while.
#[track_caller]
pub fn assert_no_process(lab: &Lab) {
    let here = || fs::read_link("/proc/thread-self/ns/net").unwrap();
    let here = lab.node.enter(here);
    let is_helper = |process: &Path| {
        fs::read_to_string(process.join("comm")).is_ok_and(|name| name == HELPER)
            // A zombie has no namespaces.
            && fs::read_link(process.join("ns/net")).is_ok_and(|netns| netns == here)
    };
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        if !processes.into_iter().any(|entry| is_helper(&entry.path())) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "a process waits for the kernel forever"
        );
        thread::sleep(Duration::from_millis(5));
    }
}
