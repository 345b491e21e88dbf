//! GC beside many valid attachments: stale ones are deleted, and files of valid ones are not
//! opened.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use serde_json::json;

use crate::asked::commands;
use crate::desk::Desk;
use crate::traced::Traced;
use crate::upkeep::{add_with, gc, kept, leave, netconf, with_valid};

const MANY: usize = 200;

/// A configuration of the network, as ADD keeps it.
fn of_ifname(ifname: &str) -> String {
    json!({"cniVersion": "1.1.0", "name": "cbr0", "type": "bridge", "twill/ifname": ifname})
        .to_string()
}

/// The valid attachments: `eth0` of every container, and a second interface of some.
fn valid(ids: &[String]) -> Vec<(&str, &str)> {
    let mut valid: Vec<_> = ids.iter().map(|id| (id.as_str(), "eth0")).collect();
    valid.extend([("c3", "net1"), ("go-valid", "net7")]);
    valid
}

fn living() -> (Vec<String>, BTreeMap<String, String>) {
    let mut ids: Vec<String> = (0..MANY).map(|number| format!("c{number}")).collect();
    let long = "l".repeat(250);
    let further = format!(".attachments/{long}:eth0");
    let mut files: BTreeMap<_, _> = ids
        .iter()
        .map(|id| (id.clone(), of_ifname("eth0")))
        .collect();
    files.insert(long.clone(), of_ifname("net9"));
    files.insert(further, of_ifname("eth0"));
    files.insert(".attachments/c3:net1".to_owned(), of_ifname("net1"));
    files.insert(
        "go-valid".to_owned(),
        r#"{"name":"cbr0","type":"bridge"}"#.to_owned(),
    );
    files.insert(
        "elsewhere".to_owned(),
        r#"{"name":"other","type":"bridge"}"#.to_owned(),
    );
    ids.push(long);
    (ids, files)
}

#[test]
fn gc_opens_no_file_of_a_valid_attachment() {
    let desk = Desk::new();
    let (ids, mut expected) = living();
    for (name, contents) in &expected {
        leave(&desk, name, contents);
    }
    // A stale first attachment of a container with another, valid one.
    leave(&desk, "c5", of_ifname("net1"));
    expected.remove("c5");
    expected.remove(ids.last().unwrap());
    let valid = valid(&ids);
    gc(&desk, &valid).run().silent();
    assert_eq!(desk.kept(), expected);
    assert_eq!(commands(&desk), ["DEL", "DEL", "GC"]);
    // Now all first files are of eth0, and this GC marks the directory.
    gc(&desk, &valid).run().silent();

    let very_long = "v".repeat(400);
    let dead = [
        "dead".to_owned(),
        ".attachments/c4:net1".to_owned(),
        ".attachments/dead:net1".to_owned(),
        "go-dead".to_owned(),
    ];
    for name in &dead {
        let of_go = r#"{"name":"cbr0","type":"bridge"}"#.to_owned();
        let ifname = name.split(':').nth(1).unwrap_or("eth0");
        let contents = if name.starts_with("go") {
            of_go
        } else {
            of_ifname(ifname)
        };
        leave(&desk, name, contents);
    }
    // The names of these files contain no whole container ID.
    add_with(&desk, &very_long, "eth0", &netconf(&desk));
    add_with(&desk, &very_long, "eth1", &netconf(&desk));
    let mut shortened = kept(&desk);
    shortened.retain(|name| name.contains('~') && name.ends_with("eth0"));
    let mut valid = valid;
    valid.push((&very_long, "eth0"));

    let conf = with_valid(netconf(&desk), &valid);
    let variables = [("CNI_COMMAND", OsStr::new("GC"))];
    let options = ["-f", "-s", "500", "-e", "trace=open,openat"];
    let before = commands(&desk).len();
    let Some(traced) = Traced::start(&desk, &options, &conf, &variables) else {
        return;
    };
    let (output, opened) = traced.wait();
    assert!(output.status.success(), "{output:?}");
    let mut left: Vec<String> = expected.into_keys().chain(shortened).collect();
    left.sort();
    assert_eq!(kept(&desk), left);
    assert_eq!(
        commands(&desk)[before..],
        ["DEL", "DEL", "DEL", "DEL", "DEL", "GC"]
    );
    let is_opened = |path: &str| {
        let name = path.strip_prefix(".attachments/").unwrap_or(path);
        opened.contains(&format!("\"{name}\""))
    };
    assert!(dead.iter().all(|name| is_opened(name)), "{opened}");
    // A name says neither to which network an unlisted container belongs, nor which interface a
    // first file is of.
    let read: Vec<_> = left.iter().filter(|name| is_opened(name)).collect();
    assert_eq!(read, ["elsewhere", "go-valid"]);
}

#[test]
fn a_stale_first_attachment_by_another_name_is_found_beside_a_valid_eth0() {
    let desk = Desk::new();
    let (ids, files) = living();
    for (name, contents) in files.iter().filter(|(name, _)| name.starts_with('c')) {
        leave(&desk, name, contents);
    }
    let mut valid = valid(&ids);
    valid.push(("late", "eth0"));
    gc(&desk, &valid).run().silent();
    let before = kept(&desk);
    add_with(&desk, "late", "net1", &netconf(&desk));
    assert_eq!(kept(&desk).len(), before.len() + 1);
    gc(&desk, &valid).run().silent();
    assert_eq!(kept(&desk), before);
}
