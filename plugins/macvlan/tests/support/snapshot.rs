//! All that plugins may change, as a value.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::container::Container;
use crate::support::lab::Lab;

/// What there is, by where it is. Left out is what the kernel does by itself, and where IPAM will look for the next address.
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
        lab.node.enter(|| {
            for folder in ["/var/lib/cni", "/run", "/etc/cni"] {
                files(Path::new(folder), &mut all);
            }
        });
        Self(all)
    }
}

/// Nothing is different from what it was.
#[track_caller]
pub(crate) fn assert_same(before: &Snapshot, after: &Snapshot, what: &str) {
    let places: BTreeSet<&String> = before.0.keys().chain(after.0.keys()).collect();
    for place in places {
        let (before, after) = (before.0.get(place), after.0.get(place));
        assert_eq!(before, after, "{what} changed {place}");
    }
}

/// Links with their addresses, and routes of one network namespace.
fn network(place: &str, ip: &dyn Fn(&[&str]) -> Value, all: &mut BTreeMap<String, String>) {
    for link in ip(&["-d", "address"]).as_array().unwrap() {
        let Some(name) = link["ifname"].as_str() else {
            continue;
        };
        let addresses = link["addr_info"].as_array().unwrap().iter();
        let addresses: Vec<Value> = addresses
            .filter(|address| address["scope"] != "link")
            .map(|address| json!([address["local"], address["prefixlen"]]))
            .collect();
        // The kernel sets these by itself, and some do it late.
        let is_carrier =
            |flag: &&Value| ["LOWER_UP", "NO-CARRIER"].contains(&flag.as_str().unwrap());
        let flags = link["flags"].as_array().unwrap().iter();
        let flags: Vec<&Value> = flags.filter(|flag| !is_carrier(flag)).collect();
        let told = json!({
            "addresses": addresses,
            "flags": flags,
            "index": link["ifindex"],
            "info": link["linkinfo"],
            "mac": link["address"],
            "mtu": link["mtu"],
            "promiscuity": link["promiscuity"],
        });
        all.insert(format!("{place}: link {name}"), told.to_string());
    }
    for family in ["-4", "-6"] {
        let routes = ip(&[family, "route", "show", "table", "all"]);
        let mut told: Vec<String> = routes
            .as_array()
            .unwrap()
            .iter()
            .map(Value::to_string)
            .filter(|route| !route.contains("fe80:") && !route.contains("ff00:"))
            .collect();
        told.sort_unstable();
        all.insert(format!("{place}: routes {family}"), told.join("\n"));
    }
}

fn files(folder: &Path, all: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != ".index" {
                files(&path, all);
            }
        } else if name != "lock" && !name.starts_with("last_reserved_ip.") {
            let contents = fs::read(&path).unwrap_or_default();
            all.insert(
                path.display().to_string(),
                contents.escape_ascii().to_string(),
            );
        }
    }
}
