//! The demo: two containers come and go on a flannel node.

#![allow(clippy::print_stdout, reason = "a developer's command: it prints")]

mod attached;
mod checks;
mod delegate;
mod kept;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lexopt::{Arg, Parser, ValueExt};
use nix::unistd::geteuid;
use testkit::Node;

use attached::{Attached, Plugins};
use delegate::Delegate;
use report::{Done, Report};
use xtask::command::Show;
use xtask::terminal::{Ink, ink, line, time};
use xtask::workspace::Workspace;
use xtask::{dist, packages};

const NETWORK: &str = "cbr0";
const MTU: u64 = 1450;
const GATEWAY: &str = "10.244.1.1";
const SUBNET_ENV: &str = "\
FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=true
";

const USAGE: &str = "\
usage: cargo xtask demo [OPTIONS]

Attaches and detaches two containers on a node of its own (needs root).

  --delegate NAME   the plugin that flannel delegates to: bridge, ipvlan, macvlan [default: bridge]
  --keep            leave the node and the containers up, and print how to look into them
  --plugins DIR     take the plugins in this directory instead of building them
";

fn main() -> Result<ExitCode> {
    let (mut delegate, mut keep, mut plugins) = (Delegate::Bridge, false, None);
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                print!("{USAGE}");
                return Ok(ExitCode::SUCCESS);
            }
            Arg::Long("delegate") => {
                let name = parser.value()?.string()?;
                let found = Delegate::named(&name);
                delegate = found.with_context(|| format!("no delegate `{name}`"))?;
            }
            Arg::Long("keep") => keep = true,
            Arg::Long("plugins") => plugins = Some(PathBuf::from(parser.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    ensure!(
        geteuid().is_root(),
        "the demo makes network namespaces: run it as root, `sudo cargo xtask demo`"
    );
    packages::install_missing(packages::OF_DEMO)?;
    let plugins = match plugins {
        Some(dir) => dir.canonicalize()?,
        None => {
            let workspace = Workspace::find()?;
            dist::build(&workspace, Show::Always)?;
            workspace.dist_dir()
        }
    };
    let start = Instant::now();
    let mut report = Report::default();
    if let Err(error) = tour(&mut report, &plugins, delegate, keep) {
        let (word, Report { number, title }) = (ink(Ink::Red, "FAILED"), report);
        line(format_args!(
            "{error:#}\ndemo: {word} at step {number} ({title})"
        ));
        return Ok(ExitCode::FAILURE);
    }
    let ok = ink(Ink::Green, "ok");
    line(format_args!("demo: {ok} in {}", time(start.elapsed())));
    Ok(ExitCode::SUCCESS)
}

fn tour(report: &mut Report, dir: &Path, delegate: Delegate, keep: bool) -> Result<()> {
    let plugins = report.step("plugins", || Plugins::find(dir, delegate))?;
    let node = report.step("node", || make_node(delegate))?;
    let attach = |id, other| Attached::new(&plugins, &node, id, other);
    let web = report.step("attach web", || attach("web", None))?;
    let db = report.step("attach db", || attach("db", Some(&web)))?;
    ensure!(web.ip() != db.ip(), "both containers got {}", web.ip());
    let both = [&web, &db];
    report.step("on the node", || checks::node_state(&node, delegate, &both))?;
    report.step("ping web → db", || checks::ping(&node, &web, db.ip()))?;
    // The others let a container reach everything but the node it is on.
    match delegate {
        Delegate::Bridge => {
            report.step("ping db → node", || checks::ping(&node, &db, GATEWAY))?;
        }
        _ => report.step("ping db → web", || checks::ping(&node, &db, web.ip()))?,
    }
    if keep {
        return kept::keep(&node, &both);
    }
    report.step("detach web", || web.detach(&plugins, &node))?;
    report.step("detach db", || db.detach(&plugins, &node))?;
    report.step("after DEL", || {
        Ok(checks::nothing_left(&node, delegate, &both))
    })
}

fn make_node(delegate: Delegate) -> Result<Done<Node>> {
    let start = Instant::now();
    let node = Node::new()?;
    let file = "/run/flannel/subnet.env";
    node.write(file, SUBNET_ENV);
    delegate.prepare(&node);
    let details = SUBNET_ENV.lines().map(str::to_owned).collect();
    Ok(Done::new(node, "a network and mounts of its own")
        .detail(file, details)
        .took(start.elapsed()))
}

fn milliseconds(text: &str) -> Option<Duration> {
    text.parse()
        .ok()
        .map(|number: f64| Duration::from_secs_f64(number / 1e3))
}
