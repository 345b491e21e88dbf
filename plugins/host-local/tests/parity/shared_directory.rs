//! Both implementations on one directory: each finds, respects and releases the other's addresses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::requirements::require_reference;
use testkit::{Invocation, binaries};

use crate::directory::contents;

struct Shared {
    temp: TempDir,
    ours: PathBuf,
    theirs: PathBuf,
}

impl Shared {
    /// A directory for both; `None`, reported as a skip, without the Go plugin.
    #[track_caller]
    fn new() -> Option<Self> {
        Some(Self {
            temp: tempfile::tempdir().unwrap(),
            ours: binaries::plugin("host-local"),
            theirs: require_reference("host-local")?,
        })
    }

    fn call(&self, program: &Path, command: &str, container: &str, mut ipam: Value) -> Invocation {
        ipam["dataDir"] = self.temp.path().to_str().unwrap().into();
        let conf = json!({ "cniVersion": "0.4.0", "name": "net", "ipam": ipam });
        Invocation::attach(program, command, container).config(&conf)
    }

    /// The addresses that an ADD allocates.
    fn add(&self, program: &Path, container: &str, ipam: &Value) -> Vec<String> {
        let result = self
            .call(program, "ADD", container, ipam.clone())
            .run()
            .success();
        let ips = result["ips"].as_array().unwrap();
        ips.iter()
            .map(|ip| ip["address"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The names in the network's directory, with their contents.
    fn files(&self) -> BTreeMap<String, String> {
        let files = contents(&self.temp.path().join("net"));
        files
            .into_iter()
            .map(|(name, contents)| (name, contents.unwrap()))
            .collect()
    }

    fn both_ways(&self) -> [(&Path, &Path); 2] {
        [(&self.ours, &self.theirs), (&self.theirs, &self.ours)]
    }
}

#[test]
fn each_checks_and_releases_the_others_addresses() {
    let Some(shared) = Shared::new() else { return };
    let ipam = json!({ "ranges": [[{ "subnet": "10.1.1.0/24" }], [{ "subnet": "fd00::/64" }]] });
    for (one, other) in shared.both_ways() {
        shared.add(one, "c1", &ipam);
        shared.add(one, "c2", &ipam);
        shared
            .call(other, "CHECK", "c1", ipam.clone())
            .run()
            .silent();

        let second = shared
            .call(other, "ADD", "c1", ipam.clone())
            .run()
            .failure();
        assert!(
            second.msg.contains("has been allocated to c1"),
            "{}",
            second.msg
        );
        shared
            .call(other, "CHECK", "c1", ipam.clone())
            .run()
            .silent();

        shared.call(other, "DEL", "c1", ipam.clone()).run().silent();
        shared
            .call(one, "CHECK", "c1", ipam.clone())
            .run()
            .failure();
        shared.call(one, "CHECK", "c2", ipam.clone()).run().silent();
        shared.call(other, "DEL", "c2", ipam.clone()).run().silent();
        let left: Vec<String> = shared.files().into_keys().collect();
        assert_eq!(left, ["last_reserved_ip.0", "last_reserved_ip.1", "lock"]);
    }
}

#[test]
fn requests_and_exhaustion_count_the_others_addresses() {
    let Some(shared) = Shared::new() else { return };
    let ipam = json!({ "subnet": "10.1.1.0/30" });
    for (one, other) in shared.both_ways() {
        assert_eq!(shared.add(one, "c1", &ipam), ["10.1.1.2/30"]);
        let full = shared
            .call(other, "ADD", "c2", ipam.clone())
            .run()
            .failure();
        let message = "no IP addresses available in range set: 10.1.1.1-10.1.1.2";
        assert!(full.msg.contains(message), "{}", full.msg);
        let call = shared
            .call(other, "ADD", "c2", ipam.clone())
            .args("IP=10.1.1.2");
        let taken = call.run().failure();
        assert!(
            taken.msg.contains("10.1.1.2 is not available"),
            "{}",
            taken.msg
        );
        shared.call(other, "DEL", "c1", ipam.clone()).run().silent();
    }
}

#[test]
fn alternating_adds_keep_the_round_robin_order() {
    let Some(shared) = Shared::new() else { return };
    let ipam = json!({ "ranges": [[
        { "subnet": "10.1.1.0/24", "rangeEnd": "10.1.1.4" },
        { "subnet": "10.1.2.0/29" },
    ]] });
    let given: Vec<String> = (0..7)
        .flat_map(|turn| {
            let program = if turn % 2 == 0 {
                &shared.ours
            } else {
                &shared.theirs
            };
            shared.add(program, &format!("c{turn}"), &ipam)
        })
        .collect();
    let expected = [
        "10.1.1.2/24",
        "10.1.1.3/24",
        "10.1.1.4/24",
        "10.1.2.2/29",
        "10.1.2.3/29",
        "10.1.2.4/29",
        "10.1.2.5/29",
    ];
    assert_eq!(given, expected);

    shared
        .call(&shared.theirs, "DEL", "c1", ipam.clone())
        .run()
        .silent();
    shared
        .call(&shared.ours, "DEL", "c3", ipam.clone())
        .run()
        .silent();
    assert_eq!(shared.add(&shared.ours, "c7", &ipam), ["10.1.2.6/29"]);
    assert_eq!(shared.add(&shared.theirs, "c8", &ipam), ["10.1.1.3/24"]);
    assert_eq!(shared.add(&shared.ours, "c9", &ipam), ["10.1.2.2/29"]);
}

const THREADS: usize = 8;
const ADDS: usize = 20;
/// The number of containers per thread at a time. Few other addresses are free, so that the search
/// wraps often.
const ALIVE: usize = 3;

#[test]
fn parallel_calls_of_both_allocate_no_address_twice() {
    let Some(shared) = Shared::new() else { return };
    let ipam =
        json!({ "subnet": "10.1.1.0/24", "rangeStart": "10.1.1.10", "rangeEnd": "10.1.1.37" });
    let holders: Mutex<BTreeMap<String, String>> = Mutex::default();

    thread::scope(|scope| {
        for number in 0..THREADS {
            let (shared, ipam, holders) = (&shared, &ipam, &holders);
            scope.spawn(move || {
                let mut alive: Vec<(String, String)> = Vec::new();
                for turn in 0..ADDS {
                    let mut programs = [&shared.ours, &shared.theirs];
                    programs.rotate_left((number + turn) % 2);
                    if alive.len() == ALIVE {
                        let (container, address) = alive.remove(0);
                        // Recorded first, because another thread may get the address as soon as DEL
                        // has begun.
                        holders.lock().unwrap().remove(&address);
                        shared
                            .call(programs[1], "DEL", &container, ipam.clone())
                            .run()
                            .silent();
                    }
                    let container = format!("c{number}-{turn}");
                    let given = shared.add(programs[0], &container, ipam);
                    let address = given[0].strip_suffix("/24").unwrap().to_owned();
                    let before = holders
                        .lock()
                        .unwrap()
                        .insert(address.clone(), container.clone());
                    assert_eq!(before, None, "{container} gets {address} too");
                    alive.push((container, address));
                }
            });
        }
    });

    let holders = holders.into_inner().unwrap();
    assert_eq!(holders.len(), THREADS * ALIVE);
    let files = shared.files();
    let last = files.get("last_reserved_ip.0").expect("somebody was last");
    let mut expected: BTreeMap<String, String> = holders
        .iter()
        .map(|(address, container)| (address.clone(), format!("{container}\\r\\neth0")))
        .collect();
    expected.insert("last_reserved_ip.0".to_owned(), last.clone());
    expected.insert("lock".to_owned(), String::new());
    assert_eq!(files, expected);
}
