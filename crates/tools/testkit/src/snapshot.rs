//! Snapshots of everything that plugins may change, to be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Deref;
use std::path::Path;

use serde_json::{Value, json};

use crate::container::Container;
use crate::lab::Lab;
use crate::link::Link;
use crate::netns::NetNs;

/// The state of a node and its containers, by place. It leaves out what the kernel does by itself,
/// and where IPAM will look for the next address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot(BTreeMap<String, String>);

/// A lab of which snapshots are taken, and what counts there.
pub trait Observed: Deref<Target = Lab> {
    /// What counts of a link beside its addresses, flags, index, MAC and MTU.
    fn details(link: &Link) -> Value;

    /// What else the plugin may change on the node, each with a name.
    fn others(&self) -> Vec<(String, String)>;
}

impl Snapshot {
    /// The state of the node and of these containers.
    #[must_use]
    #[track_caller]
    pub fn take<L: Observed>(observed: &L, containers: &[&Container]) -> Self {
        let lab: &Lab = observed;
        let mut all: BTreeMap<_, _> = observed.others().into_iter().collect();
        network::<L>("node", &lab.node.net, &mut all);
        for container in containers {
            let place = format!("container {}", container.id);
            network::<L>(&place, &container.sandbox, &mut all);
        }
        lab.node.enter(|| {
            for dir in ["/var/lib/cni", "/run", "/etc/cni"] {
                files(Path::new(dir), &mut all);
            }
        });
        Self(all)
    }

    /// The places whose state differs, each with both states.
    fn differences(&self, later: &Self) -> Vec<String> {
        let places: BTreeSet<&String> = self.0.keys().chain(later.0.keys()).collect();
        let differ = places
            .into_iter()
            .filter(|place| self.0.get(*place) != later.0.get(*place));
        differ
            .map(|place| {
                let [before, after] =
                    [self, later].map(|all| all.0.get(place).map_or("nothing", String::as_str));
                format!("{place}\n  before: {before}\n  after: {after}")
            })
            .collect()
    }
}

/// Nothing is different from what it was.
///
/// # Panics
/// If something is.
#[track_caller]
pub fn assert_same(before: &Snapshot, after: &Snapshot, what: &str) {
    let differences = before.differences(after);
    assert!(
        differences.is_empty(),
        "{what} changed what is there\n{}",
        differences.join("\n")
    );
}

/// A route without its flags about the carrier; none if the kernel makes it for an address.
fn made(route: &Value) -> Option<Value> {
    let dst = route["dst"].as_str().unwrap_or_default();
    // It follows an address of the link, with IPv6 a moment later.
    let follows_address = route["type"] == "local" || route["type"] == "anycast";
    if dst.starts_with("fe80:") || dst.starts_with("ff00:") || follows_address {
        return None;
    }
    let mut route = route.clone();
    route["flags"] = Value::Null;
    Some(route)
}

/// Links with their addresses, and routes of one network namespace.
#[track_caller]
fn network<L: Observed>(place: &str, netns: &NetNs, all: &mut BTreeMap<String, String>) {
    // Without a family, these are the routes of both.
    let printed = netns.ip_json_of_all("address\nroute show table all");
    let Ok([links, Value::Array(routes)]) = <[Value; 2]>::try_from(printed) else {
        panic!("`ip` has not printed links and routes");
    };
    for link in Link::all(links) {
        let addresses = link.0["addr_info"].as_array().unwrap().iter();
        let addresses: Vec<Value> = addresses
            .filter(|address| address["scope"] != "link")
            .map(|address| json!([address["local"], address["prefixlen"]]))
            .collect();
        // The kernel sets these by itself, and some do it late.
        let is_carrier =
            |flag: &&Value| ["LOWER_UP", "NO-CARRIER"].contains(&flag.as_str().unwrap());
        let flags = link.0["flags"].as_array().unwrap().iter();
        let flags: Vec<&Value> = flags.filter(|flag| !is_carrier(flag)).collect();
        let printed = json!({
            "addresses": addresses,
            "details": L::details(&link),
            "flags": flags,
            "index": link.index(),
            "mac": link.0["address"],
            "mtu": link.mtu(),
        });
        let name = link.name();
        all.insert(format!("{place}: link {name}"), printed.to_string());
    }
    let routes = routes.iter().filter_map(made);
    let mut routes: Vec<String> = routes.map(|route| route.to_string()).collect();
    routes.sort_unstable();
    all.insert(format!("{place}: routes"), routes.join("\n"));
}

fn files(dir: &Path, all: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != ".index" {
                files(&path, all);
            }
        } else if name != "lock" && name != "xtables.lock" && !name.starts_with("last_reserved_ip.")
        {
            let contents = fs::read(&path).unwrap_or_default();
            all.insert(
                path.display().to_string(),
                contents.escape_ascii().to_string(),
            );
        }
    }
}
