//! The content of nftables and iptables after each change, read by their own programs, and the
//! effect on packets, in namespaces of the tests' own.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

mod contention;
mod damage;
mod errors;
mod inventory;
mod iptables;
mod lan;
mod port_map;
mod ruleset;
mod spoofing;
mod traffic;

use std::process::Command;

use cni_types::{Attachment, NetworkName, ValidAttachment, ValidAttachments};
use firewall::Nftables;
use ipnetwork::IpNetwork;
use serde_json::Value;
use testkit::NetNs;

/// An empty namespace; `None` if the test is skipped.
#[track_caller]
fn namespace() -> Option<NetNs> {
    if Command::new("nft").arg("--version").output().is_err() {
        testkit::requirements::skip("needs the program nft (Debian package nftables)");
        return None;
    }
    testkit::requirements::require_root().then(|| NetNs::new().unwrap())
}

fn network(name: &str) -> NetworkName {
    name.parse().unwrap()
}

fn attachment(container_id: &str, ifname: &str) -> Attachment {
    Attachment {
        container_id: container_id.parse().unwrap(),
        ifname: ifname.parse().unwrap(),
    }
}

fn valid(attachments: &[(&str, &str)]) -> ValidAttachments {
    let valid = attachments
        .iter()
        .map(|(container_id, ifname)| ValidAttachment {
            container_id: (*container_id).to_owned(),
            ifname: (*ifname).to_owned(),
        });
    valid.collect()
}

fn addresses(texts: &[&str]) -> Vec<IpNetwork> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Opens nftables in a namespace. The socket stays in the namespace.
fn nftables(netns: &NetNs) -> Nftables {
    netns.enter(|| Nftables::open().unwrap())
}

/// The output of a command in a namespace.
#[track_caller]
fn printed(netns: &NetNs, command: &str) -> String {
    let mut words = command.split(' ');
    let mut program = Command::new(words.next().unwrap());
    let output = netns.command(program.args(words));
    assert!(output.status.success(), "`{command}`: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The output of `nft list ruleset` in a namespace, with four spaces for a tab.
#[track_caller]
fn whole_ruleset(netns: &NetNs) -> String {
    printed(netns, "nft list ruleset").replace('\t', "    ")
}

/// The comment of a witness: each of our sets has one from the start.
const WITNESS: &str = "no container: shows that nobody has flushed this";

/// The output of `nft list ruleset` without the witnesses.
#[track_caller]
fn ruleset(netns: &NetNs) -> String {
    let whole = whole_ruleset(netns);
    let mut left = String::new();
    let mut rest = whole.as_str();
    while let Some((before, after)) = rest.split_once("        elements = { ") {
        let (elements, after) = after.split_once(" }\n").unwrap();
        let elements: Vec<_> = elements
            .split(',')
            .map(str::trim)
            .filter(|element| !element.contains(WITNESS))
            .collect();
        left.push_str(before);
        if !elements.is_empty() {
            left.push_str(&format!(
                "        elements = {{ {} }}\n",
                elements.join(", ")
            ));
        }
        rest = after;
    }
    left + rest
}

/// Runs a script of `nft` in a namespace.
#[track_caller]
fn nft(netns: &NetNs, script: &str) {
    let output = netns.command(Command::new("nft").arg(script));
    assert!(output.status.success(), "`nft {script}`: {output:?}");
}

/// The elements of a set, sorted, without comments and without the witness, as `nft -j` prints
/// them: keys, and the data of a map after a colon.
#[track_caller]
fn elements(netns: &NetNs, set: &str) -> Vec<String> {
    let is_map = ["owners", "waiting", "host-ports", "host-addresses"];
    let kind = if is_map.iter().any(|name| set.ends_with(name)) {
        "map"
    } else {
        "set"
    };
    let listed = printed(netns, &format!("nft -j list {kind} {set}"));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let set = listed["nftables"].as_array().unwrap().last().unwrap();
    let set = set.as_object().unwrap().values().next().unwrap();
    let elements = set["elem"].as_array().map_or(&[][..], Vec::as_slice);
    let is_witness = |element: &&Value| element.to_string().contains(WITNESS);
    let held = elements.iter().filter(|element| !is_witness(element));
    let mut shown: Vec<_> = held.map(shown).collect();
    assert!(shown.len() < elements.len(), "{set} has no witness");
    shown.sort();
    shown
}

fn shown(element: &Value) -> String {
    if let Value::String(text) = element {
        return text.clone();
    }
    if let Value::Number(number) = element {
        return number.to_string();
    }
    if let Value::Array(pair) = element {
        return pair.iter().map(shown).collect::<Vec<_>>().join(": ");
    }
    let (kind, value) = element.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "elem" => shown(&value["val"]),
        "concat" => {
            let parts = value.as_array().unwrap();
            parts.iter().map(shown).collect::<Vec<_>>().join(" . ")
        }
        _ => panic!("an element that is {element}"),
    }
}

/// The masqueraded addresses in the records of a table, sorted.
#[track_caller]
fn recorded(netns: &NetNs, table: &str) -> Vec<String> {
    let listed = elements(netns, &format!("{table} owners"));
    let mut addresses: Vec<_> = listed
        .iter()
        .map(|record| record.split(": ").nth(1).unwrap())
        .map(|data| data.split(" . ").next().unwrap().to_owned())
        .collect();
    addresses.sort();
    addresses
}
