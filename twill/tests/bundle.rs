//! The multi-call binary: selection of a plugin by `argv[0]`, and in-process delegation.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Invocation, ScriptedDelegate, binaries, requirements};

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
    binaries::link_plugins(&desk.plugins(), &["flannel", "host-local"]);
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
fn a_delegate_that_is_a_copy_of_the_binary_is_called_in_process() {
    let desk = Desk::new();
    for name in ["flannel", "host-local"] {
        fs::copy(binaries::plugin("twill"), desk.plugins().join(name)).unwrap();
    }
    let add = desk.call("ADD", &[&desk.plugins()]);
    assert_eq!(add.run().success(), result("10.244.1.2/24"));
    let expected = ["host-local", "flannel"].map(str::to_owned);
    assert_eq!(desk.processes(), (expected.to_vec(), true));
}

#[test]
fn a_delegate_of_another_build_is_started_as_a_process() {
    let build = fs::read(binaries::plugin("twill")).unwrap();
    let id = build_id(&build);
    let others = [
        ("another build ID", with_byte(&build, id, |byte| byte ^ 1)),
        ("no build ID", with_byte(&build, id - 4, |byte| byte ^ 1)),
        ("another size", [&build[..], b"."].concat()),
    ];
    for (why, other) in others {
        let desk = Desk::new();
        symlink(binaries::plugin("twill"), desk.plugins().join("flannel")).unwrap();
        let delegate = desk.plugins().join("host-local");
        fs::write(&delegate, other).unwrap();
        fs::set_permissions(&delegate, PermissionsExt::from_mode(0o755)).unwrap();
        let add = desk.call("ADD", &[&desk.plugins()]);
        assert_eq!(add.run().success(), result("10.244.1.2/24"), "{why}");
        let expected = ["host-local", "flannel"].map(str::to_owned);
        assert_eq!(desk.processes(), (expected.to_vec(), false), "{why}");
    }
}

/// Where the build ID is in a program: behind the owner of its note.
fn build_id(program: &[u8]) -> usize {
    let start = [&[3, 0, 0, 0][..], b"GNU\0"].concat();
    let mut places = program.windows(start.len());
    places.position(|part| part == start).unwrap() + start.len()
}

fn with_byte(program: &[u8], at: usize, change: impl Fn(u8) -> u8) -> Vec<u8> {
    let mut program = program.to_vec();
    program[at] = change(program[at]);
    program
}

/// To recognise a copy takes three system calls for the delegate, and once as many for the
/// process's own binary.
#[test]
fn a_copy_costs_few_system_calls() {
    let strace = Path::new("/usr/bin/strace");
    if !strace.exists() {
        requirements::skip("needs strace (Debian package strace)");
        return;
    }
    let count = |put: &dyn Fn(&Path)| {
        let desk = Desk::new();
        for name in ["flannel", "host-local"] {
            put(&desk.plugins().join(name));
        }
        let log = desk.path("strace");
        let arguments = ["-f", "-qq", "-o", log.to_str().unwrap()];
        let launcher = [strace.to_str().unwrap()].into_iter().chain(arguments);
        let add = desk.call("ADD", &[&desk.plugins()]).under(launcher);
        assert_eq!(add.run().success(), result("10.244.1.2/24"));
        let log = fs::read_to_string(log).unwrap();
        let calls = log.lines().filter(|line| line.contains('('));
        // What the heap does differs from run to run; a debug build looks before it closes a file.
        let is_counted = |line: &&str| {
            !["brk(", "mmap(", "F_GETFD"]
                .iter()
                .any(|call| line.contains(call))
        };
        let calls = calls.filter(is_counted);
        calls.count()
    };
    let twill = binaries::plugin("twill");
    let links = count(&|name| symlink(&twill, name).unwrap());
    let copies = count(&|name| assert!(fs::copy(&twill, name).is_ok()));
    assert_eq!(copies, links + 6);
}

#[test]
fn a_plugin_earlier_in_cni_path_wins() {
    let desk = Desk::new();
    binaries::link_plugins(&desk.plugins(), &["flannel", "host-local"]);
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
    for name in twill::PLUGINS.names() {
        let program = directory.path().join(name);
        symlink(binaries::plugin("twill"), &program).unwrap();
        let outcome = Invocation::new(&program, "").run();
        let version = concat!("v1.9.1+twill.", env!("CARGO_PKG_VERSION"));
        let about = format!("CNI {name} plugin {version}\n");
        let printed = outcome.stderr_text();
        assert!(printed.starts_with(&about), "{outcome}");
        assert_eq!(
            (outcome.code, outcome.stdout.len()),
            (Some(0), 0),
            "{outcome}"
        );
        assert_eq!(as_nomad(&printed).as_deref(), Some(version));
        assert_eq!(as_nerdctl(&printed, name).as_deref(), Some("1.9.1"));
    }
}

/// The first word that is a semantic version, as Nomad looks for it in what a plugin prints without
/// arguments. It wants 0.4.0 or later.
fn as_nomad(printed: &str) -> Option<String> {
    let mut words = printed.split_whitespace();
    let version = words.find(|word| semantic_version(word).is_some())?;
    assert!(semantic_version(version)? >= [0, 4, 0]);
    Some(version.to_owned())
}

/// The version in the line `CNI <name> plugin v…`, as nerdctl compares it.
fn as_nerdctl(printed: &str, name: &str) -> Option<String> {
    let prefix = format!("CNI {name} plugin ");
    let text = printed
        .lines()
        .find_map(|line| line.strip_prefix(&prefix))?;
    let [major, minor, patch] = semantic_version(text)?;
    Some(format!("{major}.{minor}.{patch}"))
}

/// A version by Semantic Versioning 2.0.0, with the `v` that Go allows: three numbers without
/// leading zeros, then `-` and `+` with identifiers between dots.
fn semantic_version(text: &str) -> Option<[u32; 3]> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = text.split_once('+').unwrap_or((text, "0"));
    let (numbers, before) = text.split_once('-').unwrap_or((text, "0"));
    let is_valid = |identifier: &str| {
        let mut bytes = identifier.bytes();
        !identifier.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if ![build, before]
        .iter()
        .all(|part| part.split('.').all(is_valid))
    {
        return None;
    }
    let is_canonical = |number: &&str| *number == "0" || !number.starts_with('0');
    let numbers = numbers.split('.').filter(is_canonical);
    let numbers: Result<Vec<u32>, _> = numbers.map(str::parse).collect();
    numbers.ok()?.try_into().ok()
}

#[test]
fn versions_are_parsed_as_go_does() {
    for (text, numbers) in [
        ("v1.9.1+twill.0.2.0", Some([1, 9, 1])),
        ("0.4.0", Some([0, 4, 0])),
        ("1.2.3-rc.1+a", Some([1, 2, 3])),
        ("0.1.0,", None),
        ("plugin", None),
        ("v1.9.1+", None),
        ("v01.9.1", None),
        ("v1.9.1+twill_0", None),
    ] {
        assert_eq!(semantic_version(text), numbers, "{text}");
    }
}

/// flannel passes the keys on to its delegate, and a delegate to its IPAM plugin.
#[test]
fn the_keys_of_the_log_reach_every_plugin() {
    let desk = Desk::new();
    binaries::link_plugins(&desk.plugins(), &["flannel", "host-local"]);
    let conf = json!({
        "cniVersion": "1.1.0",
        "name": "n",
        "type": "flannel",
        "logLevel": "info",
        "logFile": desk.path("log"),
        "subnetFile": desk.path("subnet.env"),
        "dataDir": desk.path("kept"),
        "delegate": {"type": "host-local"},
        "ipam": {"dataDir": desk.path("networks")},
    });
    let plugins = desk.plugins();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let call = desk
        .call("ADD", &[&plugins])
        .without("CNI_LOG")
        .without("CNI_LOG_FILE")
        .env("TRACEPARENT", format!("00-{trace}-b7ad6b7169203331-01"))
        .config(&conf);
    assert_eq!(call.run().success(), result("10.244.1.2/24"));
    let expected = ["host-local", "flannel"].map(str::to_owned);
    assert_eq!(desk.processes(), (expected.to_vec(), true));
    let log = fs::read_to_string(desk.path("log")).unwrap();
    let named = format!(" trace={trace} ");
    assert!(log.lines().all(|line| line.contains(&named)), "{log}");
}
