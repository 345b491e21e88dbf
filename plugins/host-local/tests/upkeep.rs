//! GC and STATUS, addresses after a reboot, and a lock that another process keeps.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Invocation, Outcome, Strace, binaries};

#[path = "support/immutable.rs"]
mod immutable;

use immutable::Immutable;

struct Network {
    temp: TempDir,
    ipam: Value,
}

impl Network {
    fn new(ipam: Value) -> Self {
        Self {
            temp: tempfile::tempdir().unwrap(),
            ipam,
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.temp.path().join("data/net").join(file)
    }

    fn conf(&self) -> Value {
        let mut ipam = self.ipam.clone();
        let data_dir = self.temp.path().join("data");
        ipam["dataDir"] = data_dir.to_str().unwrap().into();
        json!({ "cniVersion": "1.1.0", "name": "net", "ipam": ipam })
    }

    fn call_of(&self, command: &str, container: &str, ifname: &str) -> Outcome {
        Invocation::attach(binaries::plugin("host-local"), command, container)
            .ifname(ifname)
            .config(&self.conf())
            .run()
    }

    fn call_with(&self, command: &str, container: &str, more: &[(&str, Value)]) -> Outcome {
        let mut conf = self.conf();
        for (key, value) in more {
            conf[key] = value.clone();
        }
        Invocation::attach(binaries::plugin("host-local"), command, container)
            .config(&conf)
            .run()
    }

    fn call(&self, command: &str, container: &str) -> Outcome {
        self.call_with(command, container, &[])
    }

    fn add(&self, container: &str) -> String {
        let result = self.call("ADD", container).success();
        result["ips"][0]["address"].as_str().unwrap().to_owned()
    }

    fn gc(&self, valid: Value) -> Outcome {
        self.call_with("GC", "", &[("cni.dev/valid-attachments", valid)])
    }

    fn held(&self) -> Vec<String> {
        let mut held: Vec<String> = fs::read_dir(self.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.parse::<std::net::IpAddr>().is_ok())
            .collect();
        held.sort();
        held
    }

    /// Simulates a reboot: the times of the address files become those of another boot.
    fn reboot(&self) {
        for name in self.held() {
            let file = File::open(self.path(&name)).unwrap();
            let time = file.metadata().unwrap().modified().unwrap();
            let other = time - Duration::from_secs(1);
            file.set_modified(other).unwrap();
        }
        // The index is rebuilt at the first call of each boot, so it is removed here.
        fs::remove_dir_all(self.temp.path().join("data/.index")).unwrap();
    }
}

fn small() -> Network {
    Network::new(json!({ "subnet": "10.1.1.0/29" }))
}

#[test]
fn gc_releases_stale_addresses() {
    let network = small();
    for container in ["c1", "c2", "c3"] {
        network.add(container);
    }
    // Two files of older versions: one of a valid container, one of a stale one.
    fs::write(network.path("10.1.1.5"), "c2").unwrap();
    fs::write(network.path("10.1.1.6"), "gone").unwrap();
    let valid = json!([
        { "containerID": "c1", "ifname": "eth1" },
        { "containerID": "c2", "ifname": "eth0" },
    ]);
    network.gc(valid).silent();
    assert_eq!(network.held(), ["10.1.1.3", "10.1.1.5"]);
    network.gc(json!(null)).silent();
    assert_eq!(network.held(), [] as [&str; 0]);
    network.gc(json!([])).silent();
}

#[test]
fn gc_beside_many_valid_attachments() {
    for backend in ["disk", "db"] {
        let network = Network::new(json!({ "subnet": "10.1.1.0/24", "backend": backend }));
        let ids: Vec<String> = (0..40).map(|number| format!("c{number}")).collect();
        for id in &ids {
            network.add(id);
        }
        let second = |command| network.call_of(command, "c0", "eth1");
        second("ADD").success();
        let is_dead = |id: &str| ["c3", "c17"].contains(&id);
        let valid = ids.iter().filter(|id| !is_dead(id));
        let valid: Vec<Value> = valid
            .map(|id| json!({ "containerID": id, "ifname": "eth0" }))
            .collect();
        network.gc(json!(valid)).silent();
        for id in &ids {
            let check = network.call("CHECK", id);
            if is_dead(id) {
                assert_eq!(check.failure().code, 120, "{backend} {id}");
            } else {
                check.silent();
            }
        }
        assert_eq!(second("CHECK").failure().code, 120, "{backend}");
        // The addresses are allocated again.
        let more: Vec<String> = (0..3)
            .map(|number| network.add(&format!("d{number}")))
            .collect();
        assert_eq!(more.len(), 3);
    }
}

#[test]
fn gc_opens_no_file_of_a_valid_attachment() {
    let network = Network::new(json!({ "subnet": "10.1.1.0/24" }));
    for number in 0..40 {
        network.add(&format!("c{number}"));
    }
    let valid: Vec<Value> = (1..40)
        .map(|number| json!({ "containerID": format!("c{number}"), "ifname": "eth0" }))
        .collect();
    let mut conf = network.conf();
    conf["cni.dev/valid-attachments"] = json!(valid);
    let Some(strace) = Strace::new() else { return };
    let call = Invocation::new(binaries::plugin("host-local"), "GC");
    let call = call.path("/nowhere").config(&conf);
    let outcome = strace.of(call, &["trace=open,openat"]).run();
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert_eq!(network.held().len(), 39);
    let trace = strace.calls();
    let opened: Vec<&str> = trace
        .split('"')
        .filter(|text| text.starts_with("10.1.1."))
        .collect();
    assert!(
        !opened.is_empty() && opened.iter().all(|name| *name == "10.1.1.2"),
        "{opened:?}"
    );
}

#[test]
fn gc_without_a_list_releases_nothing() {
    let network = small();
    network.add("c1");
    network.call("GC", "").silent();
    assert_eq!(network.held(), ["10.1.1.2"]);
}

#[test]
fn gc_and_status_report_a_directory_without_write_access() {
    let network = small();
    network.add("c1");
    let directory = network.path("");
    let Some(immutable) = Immutable::make(&directory) else {
        return;
    };
    let outcomes = ["ADD", "STATUS"].map(|command| network.call(command, "c2"));
    let kept = network.call("CHECK", "c1");
    drop(immutable);
    let [add, status] = outcomes.map(|outcome| outcome.failure());
    let directory = directory.display().to_string();
    let directory = directory.trim_end_matches('/');
    assert_eq!(
        (add.code, add.msg),
        (
            5,
            format!("cannot write {directory}/10.1.1.3: Operation not permitted (os error 1)")
        )
    );
    assert_eq!(
        (status.code, status.msg),
        (
            50,
            format!(
                "the addresses in {directory} cannot be used: cannot write {directory}: Operation \
                    not permitted (os error 1)"
            )
        )
    );
    kept.silent();
    assert_eq!(network.held(), ["10.1.1.2"]);
}

/// The kernel refuses to create the lock file.
#[test]
fn add_reports_why_there_is_no_lock_file() {
    let network = small();
    let directory = network.path("");
    fs::create_dir_all(&directory).unwrap();
    let Some(immutable) = Immutable::make(&directory) else {
        return;
    };
    let add = network.call("ADD", "c1");
    drop(immutable);
    let failure = add.failure();
    let lock = directory.join("lock");
    let expected = format!(
        "cannot lock {}: Operation not permitted (os error 1)",
        lock.display()
    );
    assert_eq!((failure.code, failure.msg), (5, expected));
}

#[test]
fn gc_goes_on_after_an_error_and_reports_it() {
    let network = small();
    for container in ["c1", "c2", "c3"] {
        network.add(container);
    }
    // An immutable file, which even root cannot remove.
    let fixed = network.path("10.1.1.3");
    let Some(immutable) = Immutable::make(&fixed) else {
        return;
    };
    let outcome = network.gc(json!([]));
    drop(immutable);
    let failure = outcome.failure();
    assert_eq!(failure.code, 5);
    assert_eq!(
        failure.msg,
        format!(
            "cannot remove {}: Operation not permitted (os error 1)",
            fixed.display()
        )
    );
    assert_eq!(network.held(), ["10.1.1.3"]);
}

#[test]
fn status_reports_exhaustion() {
    let network = small();
    network.call("STATUS", "").silent();
    assert!(!network.path("").exists(), "asking makes nothing");
    for container in ["c1", "c2", "c3", "c4", "c5"] {
        network.call("STATUS", "").silent();
        network.add(container);
    }
    let failure = network.call("STATUS", "").failure();
    assert_eq!(
        (failure.code, failure.msg.as_str()),
        (
            50,
            format!(
                "no IP addresses available in range set: 10.1.1.1-10.1.1.6: 5 addresses are held in {}: delete \
                 containers, have the runtime collect garbage, or configure a larger range",
                network.temp.path().join("data/net").display()
            )
            .as_str()
        )
    );
    network.call("DEL", "c4").silent();
    network.call("STATUS", "").silent();
}

#[test]
fn status_reports_why_the_store_cannot_be_used() {
    let network = small();
    fs::write(network.temp.path().join("data"), "in its place").unwrap();
    let failure = network.call("STATUS", "").failure();
    let directory = network.temp.path().join("data");
    assert_eq!(failure.code, 50);
    assert_eq!(
        failure.msg,
        format!(
            "the addresses in {0}/net cannot be used: cannot open {0}: Not a directory (os error \
                20)",
            directory.display()
        )
    );
}

#[test]
fn after_a_reboot_addresses_yield_when_no_other_is_free() {
    let network = small();
    let given: Vec<String> = ["c1", "c2", "c3", "c4", "c5"]
        .map(|c| network.add(c))
        .into();
    assert_eq!(network.call("ADD", "c6").failure().code, 110);
    network.reboot();
    network.call("STATUS", "").silent();
    // The owner gets its address again, and later another container gets it.
    assert_eq!(network.add("c3"), given[2]);
    assert_eq!(network.add("c6"), given[3]);
    assert_eq!(network.call("ADD", "c3").failure().code, 112);

    let network = Network::new(json!({ "subnet": "10.1.1.0/30", "reclaim": "never" }));
    network.add("c1");
    network.reboot();
    assert_eq!(network.call("STATUS", "").failure().code, 50);
    assert_eq!(network.call("ADD", "c1").failure().code, 112);
    assert_eq!(network.call("ADD", "c2").failure().code, 110);
}

#[test]
fn a_lock_is_waited_for_and_its_holder_is_named() {
    let network = Network::new(json!({ "subnet": "10.1.1.0/29", "lockTimeout": 0.1 }));
    network.add("c1");
    let lock = File::open(network.path("lock")).unwrap();
    lock.lock().unwrap();
    for command in ["ADD", "DEL", "CHECK"] {
        let failure = network.call(command, "c2").failure();
        assert_eq!(failure.code, 11);
        assert_eq!(
            failure.msg,
            format!(
                "{} is locked by process {} for more than 0.1 s: wait for it or end it",
                network.path("lock").display(),
                std::process::id()
            )
        );
    }
    assert_eq!(network.call("STATUS", "").failure().code, 50);
    drop(lock);
    network.call("DEL", "c1").silent();
}

#[test]
fn excluded_addresses_are_neither_allocated_nor_requested() {
    let network = Network::new(json!({
        "subnet": "10.1.1.0/29",
        "exclude": ["10.1.1.2", "10.1.1.4-10.1.1.5"],
    }));
    assert_eq!(network.add("c1"), "10.1.1.3/29");
    assert_eq!(network.add("c2"), "10.1.1.6/29");
    let args = json!({ "cni": { "ips": ["10.1.1.4"] } });
    let failure = network.call_with("ADD", "c3", &[("args", args)]).failure();
    assert_eq!(
        (failure.code, failure.msg.as_str()),
        (
            111,
            "failed to allocate for range 0: requested IP address 10.1.1.4 is excluded"
        )
    );
    assert_eq!(network.call("ADD", "c3").failure().code, 110);
}
