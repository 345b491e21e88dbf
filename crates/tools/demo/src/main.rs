//! The demo: two containers come and go on a flannel node.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer's command: it prints"
)]

mod attachment;
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
use testkit::{NetNs, Node};

use attachment::{Container, Plugins};
use delegate::Delegate;
use report::{Done, Report};
use xtask::command::Show;
use xtask::terminal::{Ink, Terminal, time};
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

/// What to do.
#[derive(Default)]
struct Task {
    delegate: Delegate,
    keep: bool,
    plugins: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = parse(Parser::from_env()).and_then(|task| match task {
        Some(task) => prepare_and_run(task),
        None => {
            print!("{USAGE}");
            Ok(true)
        }
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `None` if help is wanted.
fn parse(mut parser: Parser) -> Result<Option<Task>> {
    let mut task = Task::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("delegate") => {
                let name = parser.value()?.string()?;
                let delegate = Delegate::named(&name);
                task.delegate = delegate.with_context(|| format!("no delegate `{name}`"))?;
            }
            Arg::Long("keep") => task.keep = true,
            Arg::Long("plugins") => task.plugins = Some(parser.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(task))
}

fn prepare_and_run(task: Task) -> Result<bool> {
    ensure!(
        geteuid().is_root(),
        "the demo makes network namespaces: run it as root, `sudo cargo xtask demo`"
    );
    packages::install_missing(packages::OF_DEMO)?;
    let plugins = match task.plugins {
        Some(dir) => dir.canonicalize()?,
        None => {
            let workspace = Workspace::find()?;
            dist::build(&workspace, Show::Always)?;
            workspace.dist_dir()
        }
    };
    Ok(run(
        &mut Terminal::stdout(),
        &plugins,
        task.delegate,
        task.keep,
    ))
}

/// Runs the demo with the plugins in a directory; true if all went well.
fn run(terminal: &mut Terminal, dir: &Path, delegate: Delegate, keep: bool) -> bool {
    let start = Instant::now();
    let mut report = Report::new(terminal);
    let result = tour(&mut report, dir, delegate, keep);
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

fn tour(report: &mut Report<'_>, dir: &Path, delegate: Delegate, keep: bool) -> Result<()> {
    let plugins = report.step("plugins", || Plugins::find(dir, delegate))?;
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
