//! What the demo looks at between attaching and detaching, and after it.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use testkit::Node;

use super::attachment::{Container, scratch_dir};
use super::report::Done;
use super::{Delegate, NETWORK, milliseconds};

fn addresses_dir() -> String {
    format!("/var/lib/cni/networks/{NETWORK}")
}

/// The link that the containers are attached by, and an address file for each of them.
pub(crate) fn node_state(
    node: &Node,
    delegate: Delegate,
    containers: &[&Container],
) -> Result<Done<()>> {
    let dir = addresses_dir();
    let files = node.list(&dir);
    for container in containers {
        let ip = container.ip();
        ensure!(
            files.iter().any(|file| file == ip),
            "no file {ip} in {dir}: {files:?}"
        );
        let owner = node.read(format!("{dir}/{ip}"));
        let expected = format!("{}\r\neth0", container.name);
        ensure!(
            owner == expected,
            "{dir}/{ip} holds {owner:?} instead of {expected:?}"
        );
    }
    let printed = files.iter().map(|file| {
        let text = node.read(format!("{dir}/{file}"));
        format!("{file:<18} {}", text.replace("\r\n", " "))
            .trim_end()
            .to_owned()
    });
    let printed = printed.collect();

    let name = delegate.link();
    let link = node.ip_json(&["address", "show", name]);
    let text = |pointer: &str| {
        link.pointer(pointer)
            .with_context(|| format!("{name} has no {pointer}: {link}"))
    };
    let mtu = text("/0/mtu")?;
    if delegate != Delegate::Bridge {
        let summary = format!(
            "{name} mtu {mtu}, shared by {} containers",
            containers.len()
        );
        return Ok(Done::new((), summary).detail(dir, printed));
    }
    let length = text("/0/addr_info/0/prefixlen")?;
    let address = text("/0/addr_info/0/local")?.as_str().unwrap_or_default();
    let ports = names(&node.ip_json(&["link", "show", "master", name]));
    ensure!(
        ports.len() == containers.len(),
        "{name} has other ports: {ports:?}"
    );
    let summary = format!("{name} {address}/{length} mtu {mtu}, {} ports", ports.len());
    Ok(Done::new((), summary).detail(dir, printed))
}

/// One echo request from inside a container.
pub(crate) fn ping(node: &Node, from: &Container, to: &str) -> Result<Done<()>> {
    let output = node.enter(|| {
        from.sandbox
            .enter(|| Command::new("ping").args(["-n", "-c1", "-W2", to]).output())
    });
    let output = output.context("cannot run `ping`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("no answer from {to} to {}: {text}", from.name);
    }
    let answer = text.lines().find(|line| line.contains("time="));
    let answer = answer
        .with_context(|| format!("ping printed no time: {text}"))?
        .trim();
    let time = answer
        .split("time=")
        .nth(1)
        .and_then(|rest| milliseconds(rest.split(' ').next()?));
    let done = Done::new((), format!("{} → {to}, 1 sent, 1 answered", from.ip()));
    Ok(match time {
        Some(time) => done.took(time),
        None => done,
    })
}

/// No link, no address and no scratch file is left. A bridge stays for the next container, and
/// so do the lock and the address given last.
pub(crate) fn nothing_left(
    node: &Node,
    delegate: Delegate,
    containers: &[&Container],
) -> Result<Done<()>> {
    let links = names(&node.ip_json(&["link"]));
    ensure!(
        links == delegate.lasting_links(),
        "links are left on the node: {links:?}"
    );
    for container in containers {
        let links = names(&container.sandbox.ip_json(&["link"]));
        ensure!(
            links == ["lo"],
            "links are left in {}: {links:?}",
            container.name
        );
    }
    let dir = addresses_dir();
    let files = node.list(&dir);
    let stays = |file: &str| {
        file == "lock" || file.starts_with("last_reserved_ip.") || file.starts_with('.')
    };
    let left: Vec<_> = files.iter().filter(|file| !stays(file)).collect();
    ensure!(left.is_empty(), "addresses are left in {dir}: {left:?}");
    let scratch = node.list(scratch_dir());
    ensure!(
        scratch.is_empty(),
        "scratch files are left in {}: {scratch:?}",
        scratch_dir()
    );
    let summary = format!(
        "no address, no scratch file, no link but {}",
        delegate.lasting_links().join(", ")
    );
    Ok(Done::new((), summary).detail("by design", vec![files.join(", ")]))
}

fn names(links: &Value) -> Vec<String> {
    let links = links.as_array().into_iter().flatten();
    links
        .filter_map(|link| Some(link.get("ifname")?.as_str()?.to_owned()))
        .collect()
}
