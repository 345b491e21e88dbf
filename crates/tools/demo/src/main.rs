//! `cargo xtask demo`: attaches and detaches two containers on a flannel node of its own. What is
//! not as it should be is an error or a panic.

#![allow(clippy::print_stdout, reason = "a developer's command: it prints")]

mod attached;
mod delegate;
mod twill;

use std::io::{Write, stdout};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use lexopt::{Arg, Parser, ValueExt};
use nix::unistd::geteuid;
use testkit::Node;
use xtask::command::Show;
use xtask::terminal::{Ink, ink, line, time};
use xtask::workspace::Workspace;
use xtask::{dist, packages};

use attached::Attached;
use delegate::Delegate;
use twill::Twill;

const NETWORK: &str = "cbr0";
const MTU: u64 = 1450;
const GATEWAY: &str = "10.244.1.1";
const SUBNET_FILE: &str = "/run/flannel/subnet.env";
const LIST_FILE: &str = "/etc/cni/net.d/10-flannel.conflist";
const SUBNET_ENV: &str = "\
FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=true
";

/// Where flannel keeps the configurations that it delegated.
const KEPT: &str = "/var/lib/cni/flannel";
/// Where host-local keeps the addresses of the network.
const ADDRESSES: &str = "/var/lib/cni/networks/cbr0";

const USAGE: &str = "\
usage: cargo xtask demo [OPTIONS]

Attaches and detaches two containers on a node of its own (needs root).

  --delegate NAME   the plugin that flannel delegates to: bridge, ipvlan, macvlan [default: bridge]
  --keep            leave the node and the containers up, and print how to look into them
  --plugins DIR     take the plugins in this directory instead of building them
";

fn main() -> Result<()> {
    let (mut delegate, mut keep, mut plugins) = (delegate::BRIDGE, false, None);
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                print!("{USAGE}");
                return Ok(());
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
    tour(&plugins, delegate, keep)?;
    let (ok, took) = (ink(Ink::Green, "ok"), time(start.elapsed()));
    line(format_args!("demo: {ok} in {took}"));
    Ok(())
}

/// Prints the title of a step, does the step, and prints how long that took, and the lines that the
/// step returns.
fn step<T>(title: &str, work: impl FnOnce() -> Result<(T, Vec<String>)>) -> Result<T> {
    print!("{}", ink(Ink::Bold, format_args!("{title:<15} ")));
    stdout().flush()?;
    let start = Instant::now();
    let (value, lines) = work()?;
    line(time(start.elapsed()));
    for detail in lines {
        line(ink(Ink::Dim, format_args!("    {detail}")));
    }
    Ok(value)
}

/// As [`step`], of a step that returns nothing but lines.
fn show(title: &str, work: impl FnOnce() -> Result<Vec<String>>) -> Result<()> {
    step(title, || Ok(((), work()?)))
}

fn tour(plugins: &Path, delegate: Delegate, keep: bool) -> Result<()> {
    let node = step("node", || {
        let node = Node::new()?;
        node.write(SUBNET_FILE, SUBNET_ENV);
        delegate.prepare(&node);
        node.write(LIST_FILE, delegate.list());
        let env = SUBNET_ENV.lines().map(str::to_owned);
        Ok((
            node,
            [format!("{SUBNET_FILE}:")].into_iter().chain(env).collect(),
        ))
    })?;
    let twill = Twill {
        dir: plugins,
        node: &node,
    };
    let web = step("twill add: web", || Attached::new(&twill, "web"))?;
    let db = step("twill add: db", || Attached::new(&twill, "db"))?;
    ensure!(web.ip() != db.ip(), "both containers got {}", web.ip());
    let both = [&web, &db];
    show("on the node", || Ok(node_state(&node, delegate, &both)))?;
    show("ping web → db", || web.ping(db.ip()))?;
    // Only a bridge lets a container reach the node that it is on.
    let (title, to) = match delegate.is_bridge() {
        true => ("ping db → node", GATEWAY),
        false => ("ping db → web", web.ip()),
    };
    show(title, || db.ping(to))?;
    {
        // A namespace without a name is found by a process in it.
        let _processes = Processes::inside(&node, &both)?;
        show("twill leases", || twill.leases(&both))?;
        show("twill status", || twill.status())?;
    }
    if keep {
        return keep_up(&node, &both);
    }
    show("twill del: web", || web.detach(&twill))?;
    show("twill del: db", || db.detach(&twill))?;
    show("after that", || Ok(nothing_left(&node, delegate, &both)))?;
    show("twill leases", || twill.leases(&[]))?;
    show("twill status", || twill.status())
}

/// The link that the containers are attached by, and an address file for each of them.
fn node_state(node: &Node, delegate: Delegate, containers: &[&Attached]) -> Vec<String> {
    let read = |file: &str| node.read(format!("{ADDRESSES}/{file}"));
    for attached in containers {
        let owner = format!("{}\r\neth0", attached.container.id);
        assert_eq!(read(attached.ip()), owner, "the owner of {}", attached.ip());
    }
    let name = delegate.link;
    if delegate.is_bridge() {
        let ports = names(&node.ip_json(&["link", "show", "master", name]));
        assert_eq!(
            ports.len(),
            containers.len(),
            "{name} has other ports: {ports:?}"
        );
    }
    let link = node.ip_json(&["address", "show", name]);
    let part = |pointer: &str| Some(link.pointer(pointer)?.to_string().replace('"', ""));
    let address = part("/0/addr_info/0/local").unwrap_or_default();
    let mtu = part("/0/mtu").unwrap_or_default();
    let mut lines = vec![
        format!("{name}: mtu {mtu} {address}"),
        format!("{ADDRESSES}:"),
    ];
    let files = node.list(ADDRESSES).into_iter();
    lines.extend(files.map(|file| {
        let text = read(&file).replace("\r\n", " ");
        format!("{file:<18} {text}").trim_end().to_owned()
    }));
    lines
}

/// No link, no address and no kept configuration is left. A bridge stays for the next container,
/// and so do the lock and the address given last.
fn nothing_left(node: &Node, delegate: Delegate, containers: &[&Attached]) -> Vec<String> {
    let lasting = delegate.lasting_links;
    assert_eq!(
        names(&node.ip_json(&["link"])),
        lasting,
        "links are left on the node"
    );
    for Attached { container, .. } in containers {
        let id = &container.id;
        assert_eq!(container.link_names(), ["lo"], "links are left in {id}");
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
    let (lasting, files) = (lasting.join(", "), files.join(", "));
    vec![format!("by design, these stay: {lasting}; {files}")]
}

fn names(links: &serde_json::Value) -> Vec<String> {
    let links = links.as_array().into_iter().flatten();
    let name = |link: &serde_json::Value| Some(link.get("ifname")?.as_str()?.to_owned());
    links.filter_map(name).collect()
}

/// Starts processes that hold the namespaces, and prints how to look inside and how to end them.
fn keep_up(node: &Node, containers: &[&Attached]) -> Result<()> {
    let pid = node.enter(start_process)?.id();
    let mut all = pid.to_string();
    line("kept; to look inside:");
    line(format_args!("  nsenter -t {pid} -n -m ip address"));
    line(format_args!(
        "  nsenter -t {pid} -m sh -c 'tail -n +1 {ADDRESSES}/*; echo'"
    ));
    for attached in containers {
        let pid = node.enter(|| attached.container.sandbox.enter(start_process))?;
        let pid = pid.id();
        let (id, address) = (&attached.container.id, attached.ip());
        line(format_args!(
            "  nsenter -t {pid} -n -m ip route   # {id}, {address}"
        ));
        all += &format!(" {pid}");
    }
    line(format_args!("to remove all of it: kill {all}"));
    Ok(())
}

/// Starts a process that stays in the calling thread's namespaces until it is killed.
fn start_process() -> Result<Child> {
    let mut sleep = Command::new("sleep");
    sleep.arg("infinity").current_dir("/").process_group(0);
    sleep
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = sleep.spawn().context("cannot run `sleep`")?;
    ensure!(
        child.try_wait()?.is_none(),
        "`sleep infinity` has ended at once"
    );
    Ok(child)
}

/// Processes in some containers, which end with this value.
struct Processes(Vec<Child>);

impl Processes {
    fn inside(node: &Node, containers: &[&Attached]) -> Result<Self> {
        let start = |it: &&Attached| node.enter(|| it.container.sandbox.enter(start_process));
        containers
            .iter()
            .map(start)
            .collect::<Result<_>>()
            .map(Self)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &mut self.0 {
            drop(process.kill());
            drop(process.wait());
        }
    }
}
