//! The multi-call binary: selection of a plugin by `argv[0]`, and in-process delegation.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Invocation, ScriptedDelegate, binaries};

/// A directory of plugins, a lease, and data directories.
struct Desk {
    directory: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            directory: TempDir::with_prefix("twill-bundle-").unwrap(),
        };
        fs::create_dir(desk.plugins()).unwrap();
        fs::write(
            desk.path("subnet.env"),
            "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
        )
        .unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn plugins(&self) -> PathBuf {
        self.path("bin")
    }

    /// Calls `flannel` with `host-local` as its delegate, which is unusual, but works without root.
    fn call(&self, command: &str, directories: &[&Path]) -> Invocation {
        let netconf = json!({
            "cniVersion": "1.1.0",
            "name": "n",
            "type": "flannel",
            "subnetFile": self.path("subnet.env"),
            "dataDir": self.path("kept"),
            "delegate": {"type": "host-local"},
            "ipam": {"dataDir": self.path("networks")},
        });
        Invocation::attach(self.plugins().join("flannel"), command, "c1")
            .paths(directories)
            .env("CNI_LOG", "info")
            .env("CNI_LOG_FILE", self.path("log"))
            .config(&netconf)
    }

    /// The plugins whose end the log has, and whether all of them ran in one process.
    fn processes(&self) -> (Vec<String>, bool) {
        let log = fs::read_to_string(self.path("log")).unwrap();
        let field = |line: &str, key: &str| {
            let mut words = line.split(' ');
            words.find_map(|word| word.strip_prefix(key).map(str::to_owned))
        };
        let lines = log.lines().filter(|line| line.ends_with("msg=\"done\""));
        let (plugins, mut pids): (Vec<_>, Vec<_>) = lines
            .map(|line| (field(line, "plugin=").unwrap(), field(line, "pid=")))
            .unzip();
        pids.dedup();
        (plugins, pids.len() == 1)
    }
}

fn result(address: &str) -> Value {
    json!({
        "cniVersion": "1.1.0",
        "ips": [{"address": address, "gateway": "10.244.1.1"}],
        "routes": [{"dst": "10.244.0.0/16"}],
    })
}

#[test]
fn a_delegate_that_is_the_same_binary_is_called_in_process() {
    let desk = Desk::new();
    for name in ["flannel", "host-local"] {
        symlink(binaries::plugin("twill"), desk.plugins().join(name)).unwrap();
    }
    let add = desk.call("ADD", &[&desk.plugins()]);
    assert_eq!(add.run().success(), result("10.244.1.2/24"));
    let expected = ["host-local", "flannel"].map(str::to_owned);
    assert_eq!(desk.processes(), (expected.to_vec(), true));
    // The error is the delegate's own, as from a process.
    let failure = add.run().failure();
    assert_eq!(failure.code, 112);
    assert!(failure.msg.starts_with("host-local: "), "{}", failure.msg);

    desk.call("DEL", &[&desk.plugins()]).run().silent();
    let addresses = fs::read_dir(desk.path("networks/n")).unwrap();
    let names = addresses.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    assert_eq!(names, ["last_reserved_ip.0", "lock"]);
}

#[test]
fn a_delegate_that_is_another_file_is_started_as_a_process() {
    let desk = Desk::new();
    symlink(binaries::plugin("twill"), desk.plugins().join("flannel")).unwrap();
    fs::copy(binaries::plugin("twill"), desk.plugins().join("host-local")).unwrap();
    let add = desk.call("ADD", &[&desk.plugins()]);
    assert_eq!(add.run().success(), result("10.244.1.2/24"));
    let expected = ["host-local", "flannel"].map(str::to_owned);
    assert_eq!(desk.processes(), (expected.to_vec(), false));
}

#[test]
fn a_plugin_earlier_in_cni_path_wins() {
    let desk = Desk::new();
    for name in ["flannel", "host-local"] {
        symlink(binaries::plugin("twill"), desk.plugins().join(name)).unwrap();
    }
    let own = ScriptedDelegate::new("host-local");
    let (first, second) = (own.dir(), desk.plugins());
    desk.call("ADD", &[&first, &second]).run().success();
    assert_eq!(own.calls().len(), 1);
    desk.call("DEL", &[&second, &first]).run().silent();
    assert_eq!(own.calls().len(), 1);
}

#[test]
fn each_name_selects_its_plugin() {
    let directory = TempDir::with_prefix("twill-bundle-").unwrap();
    for name in ["flannel", "host-local"] {
        let program = directory.path().join(name);
        symlink(binaries::plugin("twill"), &program).unwrap();
        let outcome = Invocation::new(&program, "").run();
        let about = format!("CNI {name} plugin {}\n", env!("CARGO_PKG_VERSION"));
        assert!(outcome.stderr_text().starts_with(&about), "{outcome}");
    }
}
