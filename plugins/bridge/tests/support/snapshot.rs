//! All that plugins may change, as a value.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::lab::{Container, IP_FORWARD, IPV6_FORWARD, Lab};

/// What there is, by where it is. Left out is what the kernel does by itself as ports come and go, and where IPAM will
/// look for the next address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    #[track_caller]
    pub(crate) fn take(lab: &Lab, containers: &[&Container]) -> Self {
        let mut all = BTreeMap::new();
        network("node", &|args| lab.node.ip_json(args), &mut all);
        for container in containers {
            let place = format!("container {}", container.id);
            network(&place, &|args| container.sandbox.ip_json(args), &mut all);
        }
        all.insert("node: rules".to_owned(), lab.ruleset());
        for setting in [IP_FORWARD, IPV6_FORWARD] {
            all.insert(setting.to_owned(), lab.node.read(setting));
        }
        lab.node.enter(|| {
            for folder in ["/var/lib/cni", "/run", "/etc/cni"] {
                files(Path::new(folder), &mut all);
            }
        });
        Self(all)
    }

    /// What is not the same in both, each with what was and what is.
    pub(crate) fn differences(&self, later: &Self) -> Vec<String> {
        let places: BTreeSet<&String> = self.0.keys().chain(later.0.keys()).collect();
        let differ = places
            .into_iter()
            .filter(|place| self.0.get(*place) != later.0.get(*place));
        differ
            .map(|place| {
                let tell = |all: &Self| all.0.get(place).cloned().unwrap_or("nothing".to_owned());
                format!(
                    "{place}\n  before: {}\n  after: {}",
                    tell(self),
                    tell(later)
                )
            })
            .collect()
    }
}

/// Nothing is different from what it was.
#[track_caller]
pub(crate) fn assert_same(before: &Snapshot, after: &Snapshot, what: &str) {
    let differences = before.differences(after);
    assert!(
        differences.is_empty(),
        "{what} changed what is there\n{}",
        differences.join("\n")
    );
}

/// Links with their addresses, routes and rules of one network namespace.
fn network(place: &str, ip: &dyn Fn(&[&str]) -> Value, all: &mut BTreeMap<String, String>) {
    for link in ip(&["-d", "address"]).as_array().unwrap() {
        let Some(name) = link["ifname"].as_str() else {
            continue;
        };
        let flags = link["flags"].as_array().unwrap().iter();
        let set: Vec<&Value> = flags
            .filter(|flag| !["LOWER_UP", "NO-CARRIER", "RUNNING"].contains(&flag.as_str().unwrap()))
            .collect();
        let addresses = link["addr_info"].as_array().unwrap().iter();
        let addresses: Vec<Value> = addresses
            .filter(|address| address["scope"] != "link")
            .map(|address| json!([address["local"], address["prefixlen"]]))
            .collect();
        let told = json!({
            "addresses": addresses,
            "flags": set,
            "hairpin": link["linkinfo"]["info_slave_data"]["hairpin"],
            "index": link["ifindex"],
            "kind": link["linkinfo"]["info_kind"],
            "mac": link["address"],
            "master": link["master"],
            "mtu": link["mtu"],
        });
        all.insert(format!("{place}: link {name}"), told.to_string());
    }
    for family in ["-4", "-6"] {
        let routes = ip(&[family, "route", "show", "table", "all"]);
        let mut told: Vec<String> = routes
            .as_array()
            .unwrap()
            .iter()
            .filter(|route| !made_by_carrier(route))
            .map(|route| {
                let mut route = route.clone();
                route["flags"] = Value::Null;
                route.to_string()
            })
            .collect();
        told.sort_unstable();
        all.insert(format!("{place}: routes {family}"), told.join("\n"));
    }
}

/// Routes that come by themselves once something is plugged into a link that is up.
fn made_by_carrier(route: &Value) -> bool {
    let dst = route["dst"].as_str().unwrap_or_default();
    dst.starts_with("fe80:") || dst.starts_with("ff00:") || route["type"] == "anycast"
}

fn files(folder: &Path, all: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != ".index" {
                files(&path, all);
            }
        } else if name != "lock" && name != "xtables.lock" && !name.starts_with("last_reserved_ip.")
        {
            let contents = fs::read(&path)
                .unwrap_or_default()
                .escape_ascii()
                .to_string();
            all.insert(path.display().to_string(), contents);
        }
    }
}
