//! ADD waits for flanneld to write its lease, without polling the file.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Invocation, Running};

use crate::asked::{commands, wait_until};
use crate::desk::{Desk, SUBNET_ENV};
use crate::traced::Traced;

/// The time limit of a test that waits, and flannel's own timeout.
const SOON: Duration = Duration::from_secs(15);
const LIMIT: u32 = 25;

/// An ADD with another `subnetFile`, and this `subnetFileWait`.
#[track_caller]
fn add(desk: &Desk, file: &Path, wait: Value) -> Invocation {
    let mut netconf = desk.netconf();
    netconf["subnetFile"] = json!(file);
    netconf["subnetFileWait"] = wait;
    desk.call("ADD").config(&netconf)
}

/// A desk without a lease.
fn without_lease() -> Desk {
    let desk = Desk::new();
    fs::remove_file(desk.subnet_file()).unwrap();
    desk
}

/// Starts an ADD, and returns once it waits.
#[track_caller]
fn start_waiting(desk: &Desk, file: &Path) -> Running {
    let running = add(desk, file, json!(LIMIT)).start();
    let fds = PathBuf::from(format!("/proc/{}/fd", running.pid()));
    wait_until("flannel waits", SOON, || {
        let fds = fs::read_dir(&fds).into_iter().flatten().flatten();
        fds.filter_map(|fd| fs::read_link(fd.path()).ok())
            .any(|target| target == Path::new("anon_inode:inotify"))
    });
    // The ADD may be about to read the file for the first time.
    sleep(Duration::from_millis(20));
    running
}

/// The delegate was called with the lease, long before the timeout.
#[track_caller]
fn assert_added(desk: &Desk, running: Running) {
    let outcome = running.wait();
    outcome.success();
    assert!(outcome.elapsed < SOON, "{outcome}");
    let stdin: Value = serde_json::from_slice(&desk.delegate.calls()[0].stdin).unwrap();
    assert_eq!(
        stdin["ipam"]["ranges"],
        json!([[{"subnet": "10.244.1.0/24"}]])
    );
}

fn append(file: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn add_waits_for_a_file_that_is_written_in_parts() {
    // The cuts are between two lines, in a key, a network, a number and a word.
    for cut in ["FLANNEL_MTU", "SUBNET", "44.1.1", "0\n", "ue\n"] {
        let desk = without_lease();
        let running = start_waiting(&desk, &desk.subnet_file());
        let (first, second) = SUBNET_ENV.split_at(SUBNET_ENV.find(cut).unwrap());
        append(&desk.subnet_file(), first);
        sleep(Duration::from_millis(50));
        assert_eq!(commands(&desk), [""; 0], "{cut:?}");
        append(&desk.subnet_file(), second);
        assert_added(&desk, running);
    }
}

#[test]
fn add_waits_for_the_rest_of_a_file_that_is_cut_off() {
    for cut in ["44.1.1", "ue\n"] {
        let desk = Desk::new();
        let (first, _) = SUBNET_ENV.split_at(SUBNET_ENV.find(cut).unwrap());
        fs::write(desk.subnet_file(), first).unwrap();
        let running = start_waiting(&desk, &desk.subnet_file());
        fs::write(desk.subnet_file(), SUBNET_ENV).unwrap();
        assert_added(&desk, running);
    }
}

/// The Go flannel does not wait for the rest. Ours waits only if the value could be the start of
/// `true` or `yes`.
#[test]
fn a_value_that_stays_cut_off_counts_as_it_is() {
    for (value, wait, least) in [("tr", json!(0.3), 300), ("nope", json!(LIMIT), 0)] {
        let desk = Desk::new();
        fs::write(desk.subnet_file(), SUBNET_ENV.replace("true\n", value)).unwrap();
        let outcome = add(&desk, &desk.subnet_file(), wait).run();
        outcome.success();
        assert!(outcome.elapsed >= Duration::from_millis(least), "{outcome}");
        assert!(outcome.elapsed < SOON, "{outcome}");
        let stdin: Value = serde_json::from_slice(&desk.delegate.calls()[0].stdin).unwrap();
        assert_eq!(stdin["ipMasq"], true);
    }
}

#[test]
fn add_notices_a_file_that_is_renamed_into_place() {
    let desk = without_lease();
    // The file comes from another directory, so no earlier event announces it.
    fs::create_dir(desk.path("elsewhere")).unwrap();
    let aside = desk.path("elsewhere/aside");
    fs::write(&aside, SUBNET_ENV).unwrap();
    let running = start_waiting(&desk, &desk.subnet_file());
    fs::rename(aside, desk.subnet_file()).unwrap();
    assert_added(&desk, running);
}

#[test]
fn add_notices_a_directory_that_is_created_later() {
    let desk = without_lease();
    let file = desk.path("run/flannel/subnet.env");
    let running = start_waiting(&desk, &file);
    for directory in ["run", "run/flannel"] {
        fs::create_dir(desk.path(directory)).unwrap();
        sleep(Duration::from_millis(20));
    }
    fs::write(&file, SUBNET_ENV).unwrap();
    assert_added(&desk, running);

    // All directories appear at once.
    let desk = without_lease();
    let file = desk.path("run/flannel/subnet.env");
    let running = start_waiting(&desk, &file);
    fs::create_dir_all(desk.path("run/flannel")).unwrap();
    fs::write(&file, SUBNET_ENV).unwrap();
    assert_added(&desk, running);
}

#[test]
fn add_notices_a_directory_that_is_replaced() {
    for is_kept in [false, true] {
        let desk = without_lease();
        let directory = desk.path("run/flannel");
        fs::create_dir_all(&directory).unwrap();
        let running = start_waiting(&desk, &directory.join("subnet.env"));
        if is_kept {
            fs::rename(&directory, desk.path("old")).unwrap();
        } else {
            fs::remove_dir(&directory).unwrap();
        }
        sleep(Duration::from_millis(20));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("subnet.env"), SUBNET_ENV).unwrap();
        assert_added(&desk, running);
    }
}

/// The file's directory stays, but the path no longer leads to it.
#[test]
fn add_notices_a_replaced_parent_directory() {
    let desk = without_lease();
    let directory = desk.path("var/run/flannel");
    fs::create_dir_all(&directory).unwrap();
    let running = start_waiting(&desk, &directory.join("subnet.env"));
    fs::rename(desk.path("var"), desk.path("old")).unwrap();
    sleep(Duration::from_millis(20));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("subnet.env"), SUBNET_ENV).unwrap();
    assert_added(&desk, running);

    // The target of a link stays too.
    let desk = without_lease();
    for directory in ["first", "second"] {
        fs::create_dir_all(desk.path(directory)).unwrap();
    }
    symlink("first", desk.path("run")).unwrap();
    let running = start_waiting(&desk, &desk.path("run/subnet.env"));
    fs::write(desk.path("second/subnet.env"), SUBNET_ENV).unwrap();
    symlink("second", desk.path("new")).unwrap();
    fs::rename(desk.path("new"), desk.path("run")).unwrap();
    assert_added(&desk, running);
}

/// The directories appear one by one while the watches are being set, which strace makes slow.
#[test]
fn directories_that_appear_while_watches_are_set_are_noticed() {
    for step in 0..4 {
        let desk = without_lease();
        let file = desk.path("run/link/flannel/subnet.env");
        symlink("disk/later", desk.path("target")).unwrap();
        let mut netconf = desk.netconf();
        netconf["subnetFile"] = json!(file);
        netconf["subnetFileWait"] = json!(LIMIT);
        let options = [
            "-e",
            "trace=inotify_add_watch",
            "-e",
            "inject=inotify_add_watch:delay_enter=60000:delay_exit=60000",
        ];
        let Some(traced) = Traced::start(&desk, &options, &netconf, &[]) else {
            return;
        };
        wait_until("flannel sets watches", SOON, || !traced.calls().is_empty());
        sleep(Duration::from_millis(30 * step));
        fs::create_dir(desk.path("run")).unwrap();
        sleep(Duration::from_millis(50));
        symlink(desk.path("target"), desk.path("run/link")).unwrap();
        sleep(Duration::from_millis(50));
        fs::create_dir_all(desk.path("disk/later/flannel")).unwrap();
        sleep(Duration::from_millis(700));
        fs::write(desk.path("disk/later/flannel/subnet.env"), SUBNET_ENV).unwrap();
        let begin = Instant::now();
        let (output, calls) = traced.wait();
        assert!(output.status.success(), "{output:?}");
        assert!(begin.elapsed() < SOON, "step {step}: {calls}");
    }
}

#[test]
fn add_follows_links_to_a_directory_that_is_created_later() {
    // Either the file is a link to a link, or a directory of the path is a link.
    for (link, target, file) in [
        ("subnet.env", "disk/later/flannel/subnet.env", "subnet.env"),
        ("run", "disk/later/flannel", "run/subnet.env"),
        ("run", "disk/later", "run/flannel/subnet.env"),
    ] {
        let desk = without_lease();
        fs::create_dir(desk.path("disk")).unwrap();
        symlink("hop", desk.path(link)).unwrap();
        symlink(desk.path(target), desk.path("hop")).unwrap();
        let running = start_waiting(&desk, &desk.path(file));
        fs::create_dir_all(desk.path("disk/later/flannel")).unwrap();
        sleep(Duration::from_millis(20));
        append(&desk.path("disk/later/flannel/subnet.env"), SUBNET_ENV);
        assert_added(&desk, running);
    }
}

#[test]
fn a_circle_of_links_is_no_lease() {
    let desk = without_lease();
    symlink(desk.path("hop"), desk.subnet_file()).unwrap();
    symlink(desk.subnet_file(), desk.path("hop")).unwrap();
    let failure = add(&desk, &desk.subnet_file(), json!(0.1)).run().failure();
    assert_eq!(failure.code, 5);
    assert_eq!(commands(&desk), [""; 0]);
}

#[test]
fn after_the_timeout_the_error_says_what_to_do() {
    for (wait, least) in [
        (json!(0.3), 300),
        (Value::Null, 1000),
        (json!(0), 0),
        (json!(1e-9), 0),
    ] {
        let desk = without_lease();
        let before = desk.listing();
        let outcome = add(&desk, &desk.subnet_file(), wait).run();
        let failure = outcome.failure();
        let message = format!(
            "failed to load the lease: {}: there is no such file: flanneld has no lease for this \
                node yet",
            desk.subnet_file().display()
        );
        assert_eq!((failure.code, failure.msg), (11, message));
        assert_eq!(failure.details, "check the log of flanneld on this node");
        assert!(outcome.elapsed >= Duration::from_millis(least), "{outcome}");
        assert_eq!(outcome.stderr_text(), "");
        assert_eq!(desk.listing(), before);
        assert_eq!(commands(&desk), [""; 0]);
    }
}

#[test]
fn after_the_timeout_the_error_names_the_missing_keys() {
    let desk = Desk::new();
    fs::write(desk.subnet_file(), "FLANNEL_MTU=1450\n").unwrap();
    let running = add(&desk, &desk.subnet_file(), json!(0.5)).start();
    fs::write(
        desk.subnet_file(),
        SUBNET_ENV.replace("FLANNEL_IPMASQ=true\n", ""),
    )
    .unwrap();
    let failure = running.wait().failure();
    let message = format!(
        "failed to load the lease: {}: FLANNEL_IPMASQ missing: flanneld has not written all of \
            the lease",
        desk.subnet_file().display()
    );
    assert_eq!((failure.code, failure.msg), (11, message));
}

#[test]
fn an_invalid_lease_is_refused_at_once() {
    let wrong = SUBNET_ENV.replace("1450", "14x");
    let desk = Desk::new();
    let refused = |running: Running| {
        let outcome = running.wait();
        let failure = outcome.failure();
        let message = format!(
            "failed to load the lease: {}: FLANNEL_MTU: \"14x\" is no number of bytes",
            desk.subnet_file().display()
        );
        assert_eq!((failure.code, failure.msg), (6, message));
        assert!(outcome.elapsed < SOON, "{outcome}");
    };
    fs::write(desk.subnet_file(), &wrong).unwrap();
    refused(add(&desk, &desk.subnet_file(), json!(LIMIT)).start());
    // The same for an invalid lease that appears during the wait.
    fs::remove_file(desk.subnet_file()).unwrap();
    let running = start_waiting(&desk, &desk.subnet_file());
    fs::write(desk.path("aside"), &wrong).unwrap();
    fs::rename(desk.path("aside"), desk.subnet_file()).unwrap();
    refused(running);
}

#[test]
fn an_invalid_timeout_is_refused() {
    let desk = Desk::new();
    let before = desk.listing();
    let no_time = |shown: &str| {
        format!("network configuration: subnetFileWait: {shown} is no number of seconds to wait")
    };
    let no_number = |what: &str| {
        format!(
            "cannot decode the network configuration: subnetFileWait: invalid type: {what}, \
                expected f64"
        )
    };
    for (wait, code, message) in [
        (json!(-1), 7, no_time("-1")),
        (json!(-0.001), 7, no_time("-0.001")),
        (json!(1e30), 7, no_time("1000000000000000000000000000000")),
        (json!("x"), 6, no_number("string \"x\"")),
        (json!("1"), 6, no_number("string \"1\"")),
        (json!([]), 6, no_number("sequence")),
    ] {
        let outcome = add(&desk, &desk.subnet_file(), wait).run();
        let failure = outcome.failure();
        assert_eq!((failure.code, failure.msg), (code, message), "{outcome}");
    }
    assert_eq!(desk.listing(), before);
    assert_eq!(commands(&desk), [""; 0]);
}

#[test]
fn an_existing_lease_is_not_waited_for() {
    for wait in [json!(0), json!(1e9), json!(1e18)] {
        let desk = Desk::new();
        let outcome = add(&desk, &desk.subnet_file(), wait).run();
        outcome.success();
    }
}

/// The number of times that ADD reads the lease; `None` without strace.
fn looks(desk: &Desk, wait: Value) -> Option<usize> {
    let mut netconf = desk.netconf();
    netconf["subnetFileWait"] = wait;
    let options = ["-f", "-e", "trace=open,openat,openat2"];
    let (_, calls) = Traced::start(desk, &options, &netconf, &[])?.wait();
    let name = format!("\"{}\"", desk.subnet_file().display());
    Some(calls.lines().filter(|line| line.contains(&name)).count())
}

#[test]
fn add_reads_the_lease_only_after_an_event() {
    // At first, after the watches are set, and at the timeout.
    for (wait, expected) in [(json!(1), 3), (json!(0), 1)] {
        let desk = without_lease();
        let Some(looks) = looks(&desk, wait) else {
            return;
        };
        assert_eq!(looks, expected);
    }
    if let Some(looks) = looks(&Desk::new(), json!(1)) {
        assert_eq!(looks, 1);
    }
}

#[test]
fn a_lease_that_appears_just_before_the_watch_is_noticed() {
    let desk = without_lease();
    let mut netconf = desk.netconf();
    netconf["subnetFileWait"] = json!(LIMIT);
    // strace delays the system call that sets the watch by a second.
    let options = [
        "-e",
        "trace=inotify_init1,inotify_add_watch",
        "-e",
        "inject=inotify_add_watch:delay_enter=1000000",
    ];
    let begin = Instant::now();
    let Some(traced) = Traced::start(&desk, &options, &netconf, &[]) else {
        return;
    };
    wait_until("flannel is about to wait", SOON, || {
        traced.calls().contains("inotify_init1")
    });
    sleep(Duration::from_millis(200));
    assert!(!traced.calls().contains(") = 1\n"), "{}", traced.calls());
    fs::write(desk.subnet_file(), SUBNET_ENV).unwrap();
    let (output, calls) = traced.wait();
    assert!(output.status.success(), "{output:?}");
    assert!(begin.elapsed() < SOON, "{calls}");
}
