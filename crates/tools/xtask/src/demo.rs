//! The demo: two containers come and go on a flannel node.

mod attachment;
mod checks;
mod delegate;
mod kept;
mod report;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::unistd::geteuid;
use testkit::{NetNs, Node};

use crate::terminal::{Ink, Terminal, time};
use attachment::{Container, Plugins};
pub(crate) use delegate::Delegate;
use report::{Done, Report};

const NETWORK: &str = "cbr0";
const MTU: u64 = 1450;
const GATEWAY: &str = "10.244.1.1";
const SUBNET_ENV: &str = "\
FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=true
";

/// An error unless run as root.
pub(crate) fn require_root() -> Result<()> {
    let root = geteuid().is_root();
    ensure!(
        root,
        "the demo makes network namespaces: run it as root, `sudo cargo xtask demo`"
    );
    Ok(())
}

/// Runs the demo with the plugins in a folder; true if all went well.
pub(crate) fn run(terminal: &mut Terminal, folder: &Path, delegate: Delegate, keep: bool) -> bool {
    let start = Instant::now();
    let mut report = Report::new(terminal);
    let result = tour(&mut report, folder, delegate, keep);
    let failed = report.last_step();
    match result {
        Ok(()) => {
            let ok = terminal.ink(Ink::Green, "ok");
            terminal.line(format_args!("demo: {ok} in {}", time(start.elapsed())));
            true
        }
        Err(error) => {
            let word = terminal.ink(Ink::Red, "FAILED");
            terminal.line(format_args!("{error:#}"));
            terminal.line(format_args!("demo: {word} at step {failed}"));
            false
        }
    }
}

fn tour(report: &mut Report<'_>, folder: &Path, delegate: Delegate, keep: bool) -> Result<()> {
    let plugins = report.step("plugins", || Plugins::find(folder, delegate))?;
    let node = report.step("node", || make_node(delegate))?;
    let web = report.step("attach web", || {
        Container::attach(&plugins, &node, "web", None)
    })?;
    let db = report.step("attach db", || {
        Container::attach(&plugins, &node, "db", Some(&web))
    })?;
    ensure!(web.ip() != db.ip(), "both containers got {}", web.ip());
    report.step("on the node", || {
        checks::node_state(&node, delegate, &[&web, &db])
    })?;
    report.step("ping web → db", || checks::ping(&node, &web, db.ip()))?;
    // The others let a container reach everything but the node it is on.
    if delegate == Delegate::Bridge {
        report.step("ping db → node", || checks::ping(&node, &db, GATEWAY))?;
    } else {
        report.step("ping db → web", || checks::ping(&node, &db, web.ip()))?;
    }
    if keep {
        return kept::keep(report, &node, &[&web, &db]);
    }
    report.step("detach web", || web.detach(&plugins, &node))?;
    report.step("detach db", || db.detach(&plugins, &node))?;
    report.step("what is left", || {
        checks::nothing_left(&node, delegate, &[&web, &db])
    })
}

fn make_node(delegate: Delegate) -> Result<Done<Node>> {
    let start = Instant::now();
    let node = Node::new()?;
    let file = "/run/flannel/subnet.env";
    node.write(file, SUBNET_ENV);
    delegate.prepare(&node)?;
    let details = SUBNET_ENV.lines().map(str::to_owned).collect();
    Ok(Done::new(node, "a network and mounts of its own")
        .detail(file, details)
        .took(start.elapsed()))
}

/// Makes a network namespace for a container.
fn make_sandbox() -> Result<NetNs> {
    NetNs::new().context("cannot make the container's network namespace")
}

fn milliseconds(text: &str) -> Option<Duration> {
    text.parse()
        .ok()
        .map(|number: f64| Duration::from_secs_f64(number / 1e3))
}
