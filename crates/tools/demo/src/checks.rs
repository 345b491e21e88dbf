//! What the demo looks at between attaching and detaching, and after it. Each check panics if
//! something is not as it should be.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::Node;

use super::attached::{Attached, KEPT};
use super::report::Done;
use super::{Delegate, milliseconds};

/// Where host-local keeps the addresses of the network.
pub(crate) const ADDRESSES: &str = "/var/lib/cni/networks/cbr0";

/// The link that the containers are attached by, and an address file for each of them.
pub(crate) fn node_state(
    node: &Node,
    delegate: Delegate,
    containers: &[&Attached],
) -> Result<Done<()>> {
    let read = |file: &str| node.read(format!("{ADDRESSES}/{file}"));
    for attached in containers {
        let owner = format!("{}\r\neth0", attached.container.id);
        assert_eq!(read(attached.ip()), owner, "the owner of {}", attached.ip());
    }
    let files = node.list(ADDRESSES);
    let printed = files.iter().map(|file| {
        let line = format!("{file:<18} {}", read(file).replace("\r\n", " "));
        line.trim_end().to_owned()
    });
    let printed = printed.collect();
    let name = delegate.link();
    let link = node.ip_json(&["address", "show", name]);
    let part = |pointer: &str| {
        let found = link.pointer(pointer);
        found.with_context(|| format!("{name} has no {pointer}: {link}"))
    };
    let (mtu, count) = (part("/0/mtu")?, containers.len());
    let summary = if delegate == Delegate::Bridge {
        let length = part("/0/addr_info/0/prefixlen")?;
        let address = part("/0/addr_info/0/local")?.as_str().unwrap_or_default();
        let ports = names(&node.ip_json(&["link", "show", "master", name]));
        assert_eq!(ports.len(), count, "{name} has other ports: {ports:?}");
        format!("{name} {address}/{length} mtu {mtu}, {count} ports")
    } else {
        format!("{name} mtu {mtu}, shared by {count} containers")
    };
    Ok(Done::new((), summary).detail(ADDRESSES, printed))
}

/// One echo request from inside a container.
pub(crate) fn ping(node: &Node, from: &Attached, to: &str) -> Result<Done<()>> {
    let mut ping = Command::new("ping");
    ping.args(["-n", "-c1", "-W2", to]);
    let output = node.enter(|| from.container.sandbox.command(&mut ping));
    let text = String::from_utf8_lossy(&output.stdout);
    let id = &from.container.id;
    ensure!(
        output.status.success(),
        "no answer from {to} to {id}: {text}"
    );
    let done = Done::new((), format!("{} → {to}, 1 sent, 1 answered", from.ip()));
    let time = text.split("time=").nth(1);
    let time = time.and_then(|rest| milliseconds(rest.split(' ').next()?));
    Ok(done.took(time.with_context(|| format!("ping printed no time: {text}"))?))
}

/// No link, no address and no kept configuration is left. A bridge stays for the next container,
/// and so do the lock and the address given last.
pub(crate) fn nothing_left(node: &Node, delegate: Delegate, containers: &[&Attached]) -> Done<()> {
    let lasting = delegate.lasting_links();
    assert_eq!(
        names(&node.ip_json(&["link"])),
        lasting,
        "links are left on the node"
    );
    for Attached { container, .. } in containers {
        assert_eq!(
            container.link_names(),
            ["lo"],
            "links are left in {}",
            container.id
        );
    }
    let files = node.list(ADDRESSES);
    let stays = |file: &str| {
        file == "lock" || file.starts_with("last_reserved_ip.") || file.starts_with('.')
    };
    let left: Vec<_> = files.iter().filter(|file| !stays(file)).collect();
    assert!(
        left.is_empty(),
        "addresses are left in {ADDRESSES}: {left:?}"
    );
    let kept = node.list(KEPT);
    assert!(
        kept.is_empty(),
        "configurations are left in {KEPT}: {kept:?}"
    );
    let lasting = lasting.join(", ");
    let summary = format!("no address, no kept configuration, no link but {lasting}");
    Done::new((), summary).detail("by design", vec![files.join(", ")])
}

fn names(links: &Value) -> Vec<String> {
    let links = links.as_array().into_iter().flatten();
    links
        .filter_map(|link| Some(link.get("ifname")?.as_str()?.to_owned()))
        .collect()
}
