//! The part `podman`: containers of podman come and go, also over a reboot of their node.

mod disk;
mod image;
mod killed;
mod machine;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use disk::{Disk, NETWORK, PAGE, PODMANS_NETWORK};
use machine::{HOST, Machine};
use testkit::exchange::Protocol;
use xtask::command;
use xtask::packages::Needed;

use super::setting::Setting;

/// Besides what all tests need.
pub(super) const NEEDED: &[Needed] = &[
    // The package `busybox` has a program of that name too, which is not static.
    ("/usr/share/doc/busybox-static", "busybox-static"),
    ("conmon", "conmon"),
    ("crun", "crun"),
    ("podman", "podman"),
];

/// Where the web server is published.
const PORT: &str = "8080";

/// Where the server that answers over TCP and UDP is published.
const ECHO_PORT: u16 = 8081;

/// The subnet of the node's lease: the bridge's address with its mask.
const LEASE: &str = "10.244.1.1/28";

/// The numbers that the lease's addresses end in, less the bridge's.
const RANGE: std::ops::RangeInclusive<u8> = 2..=14;

/// A container that podman runs.
#[derive(Clone)]
struct Container {
    name: String,
    id: String,
    address: String,
}

/// Runs all checks with the release binary.
pub(super) fn run(setting: &Setting) -> Result<String> {
    setting.needs_root()?;
    let plugins = setting.workspace.dist_dir();
    let disk = Disk::new(&setting.temporary, &plugins)?;
    if let Some(rounds) = setting.repeats.kills {
        killed::free_in_rounds(&disk, &plugins, rounds)?;
        disk.remove()?;
        return Ok(format!("{rounds} rounds of kills"));
    }
    let node = Machine::boot(&disk, LEASE)?;
    let running = before_the_reboot(&node, &disk, &plugins)?;
    for network in [NETWORK, PODMANS_NETWORK] {
        publishes(&node, &disk, network)
            .with_context(|| format!("published ports in network {network}"))?;
    }
    disk.expect_only(&running)
        .context("after a container with published ports")?;
    image::check(&node, &disk, setting).context("the image of a release")?;
    node.switch_off()?;

    let node = Machine::boot(&disk, LEASE)?;
    disk.expect_only(&running)
        .context("after the reboot, before any container runs")?;
    after_the_reboot(&node, &disk, &running)?;
    collect_garbage(&node, &disk, &plugins)?;
    node.switch_off()?;
    disk.remove()?;
    Ok(String::new())
}

fn before_the_reboot(node: &Machine<'_>, disk: &Disk, plugins: &Path) -> Result<Vec<Container>> {
    let published = format!("{PORT}:80");
    let web = start(node, disk, "web", &["--publish", &published], WEB_SERVER)?;
    let client = start(node, disk, "client", &[], IDLE)?;
    disk.expect_only(&[web.clone(), client.clone()])?;
    is_joined(node, &web, "10.244.1.2").context("the first container")?;
    is_joined(node, &client, "10.244.1.3").context("the second container")?;
    reach_each_other(node, &web, &client)?;
    answers(node)?;

    let mut running = vec![web, client];
    let many = at_once(node, disk, "many", 10)?;
    let given = last_numbers(&many)?;
    ensure!(
        given == (4..=13).collect(),
        "ten containers at once got addresses that end in {given:?}, not in 4 to 13"
    );
    running.extend(many);
    disk.expect_only(&running).context("with twelve running")?;

    let removed = running.pop().context("twelve run")?;
    node.podman(&["rm", "--force", "--time=0", &removed.name])?;
    disk.expect_only(&running).context("after `podman rm`")?;

    let killed = running.pop().context("eleven run")?;
    node.podman(&["kill", &killed.name])?;
    node.podman(&["wait", &killed.name])?;
    node.podman(&["rm", &killed.name])?;
    disk.expect_only(&running)
        .context("after `podman kill` and `podman rm`")?;

    // Without conmon nobody sees the container's end until podman looks.
    let orphan = running.last().context("ten run")?.name.clone();
    let both = node.inspect(&orphan, "{{.State.ConmonPid}} {{.State.Pid}}")?;
    let kill = ["busybox", "kill", "-9"].into_iter();
    node.run(&kill.chain(both.split(' ')).collect::<Vec<_>>())?;
    disk.expect_only(&running)
        .context("after conmon and container were killed")?;
    // Podman may fail to kill the dead container, and only then note its end.
    let remove = ["rm", "--force", "--time=0", &orphan];
    node.podman(&remove).or_else(|_| node.podman(&remove))?;
    running.pop();
    disk.expect_only(&running)
        .context("after `podman rm` of a container that was killed together with conmon")?;
    killed::free_the_killed(node, disk, plugins, &mut running)?;
    Ok(running)
}

fn after_the_reboot(node: &Machine<'_>, disk: &Disk, before: &[Container]) -> Result<()> {
    let [web, client, ..] = before else {
        anyhow::bail!("web and client ran before the reboot");
    };
    // Both get what they had.
    for container in [web, client] {
        node.podman(&["start", &container.name])?;
        is_joined(node, container, &container.address)
            .with_context(|| format!("{} after the reboot", container.name))?;
    }
    reach_each_other(node, web, client)?;
    answers(node)?;
    disk.expect_only(before).context("with two started again")?;

    node.podman(&["rm", "--force", "--time=0", "--all"])?;
    let never_started = before.get(2..).unwrap_or_default();
    // Podman calls no plugin for these, which have no namespace any more.
    disk.expect_only(never_started)
        .context("after `podman rm` of all containers")?;
    ensure!(
        answers(node).is_err(),
        "the port {PORT} still answers after the container is gone"
    );

    // The stale addresses yield: the whole range can be given.
    let all = at_once(node, disk, "all", RANGE.count())?;
    let given = last_numbers(&all)?;
    ensure!(
        given == RANGE.collect(),
        "after the reboot, addresses that end in {given:?} are given, not all of {RANGE:?}"
    );
    let one_more = start(node, disk, "more", &[], IDLE);
    let error = one_more
        .err()
        .context("a container runs without an address")?;
    let expected = "no IP addresses available in range set: 10.244.1.1-10.244.1.14";
    ensure!(
        format!("{error:#}").contains(expected),
        "a container beyond the range fails without `{expected}`: {error:#}"
    );
    node.podman(&["rm", "--force", "--time=0", "--all"])?;
    let held = disk.addresses(NETWORK)?;
    ensure!(held.is_empty(), "these addresses are left: {held:#?}");

    let printed = node.run(&["ip", "-brief", "link"])?;
    let links: BTreeSet<_> = printed
        .lines()
        .filter_map(|line| line.split([' ', '@']).next())
        .collect();
    ensure!(
        links == ["cni0", "lo", "uplink"].into(),
        "without a container the node has the links {links:?}"
    );
    let namespaces = node.run(&["busybox", "ls", "/run/netns"])?;
    ensure!(
        namespaces.is_empty(),
        "without a container the node has the network namespaces {namespaces}"
    );
    Ok(())
}

/// What flannel has kept for containers that podman never mentions again goes with GC, which podman
/// 4.3 does not call.
fn collect_garbage(node: &Machine<'_>, disk: &Disk, plugins: &Path) -> Result<()> {
    let config = serde_json::json!({
        "cniVersion": "1.1.0",
        "name": NETWORK,
        "type": "flannel",
        "cni.dev/valid-attachments": [],
    });
    disk.write("gc.json", config.to_string())?;
    let (plugins, config) = (plugins.display(), disk.path("gc.json"));
    let gc = format!(
        "CNI_COMMAND=GC CNI_PATH={plugins} {plugins}/flannel < {}",
        config.display()
    );
    let printed = node.run(&["sh", "-c", &gc])?;
    ensure!(printed.is_empty(), "GC prints {printed}");
    disk.expect_only(&[]).context("after GC")
}

const IDLE: &[&str] = &["sleep", "3600"];
const WEB_SERVER: &[&str] = &["httpd", "-f", "-p", "80", "-h", "/www"];

/// Starts a container.
fn start(
    node: &Machine<'_>,
    disk: &Disk,
    name: &str,
    options: &[&str],
    words: &[&str],
) -> Result<Container> {
    started(node, name, run_command(node, disk, name, options, words))
}

/// Starts containers, none of which waits for another.
fn at_once(node: &Machine<'_>, disk: &Disk, name: &str, count: usize) -> Result<Vec<Container>> {
    let names: Vec<_> = (1..=count)
        .map(|number| format!("{name}{number}"))
        .collect();
    let printed: Vec<_> = std::thread::scope(|scope| {
        let start = |name| scope.spawn(move || run_command(node, disk, name, &[], IDLE));
        let running: Vec<_> = names.iter().map(String::as_str).map(start).collect();
        let ended = running.into_iter().map(|thread| thread.join());
        ended
            .map(|it| it.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    names
        .iter()
        .zip(printed)
        .map(|(name, printed)| started(node, name, printed))
        .collect()
}

/// Has podman start a container; what that prints is the container's ID.
fn run_command(
    node: &Machine<'_>,
    disk: &Disk,
    name: &str,
    options: &[&str],
    words: &[&str],
) -> Result<String> {
    let root = disk.path("rootfs").display().to_string();
    let run = ["podman", "run", "--detach", "--name", name];
    let program = ["--rootfs", &root, "/bin/busybox"];
    let mut command: Command = node.command(&[&run, options, &program, words].concat());
    command::output(&mut command).with_context(|| format!("podman does not start {name}"))
}

/// What podman reports of a container that it started.
fn started(node: &Machine<'_>, name: &str, id: Result<String>) -> Result<Container> {
    let id = id?.trim_end().to_owned();
    let address = format!("{{{{.NetworkSettings.Networks.{NETWORK}.IPAddress}}}}");
    let address = node.inspect(name, &address)?;
    Ok(Container {
        name: name.to_owned(),
        id,
        address,
    })
}

/// The last number of each container's address in the lease; an error if two have the same.
fn last_numbers(containers: &[Container]) -> Result<BTreeSet<u8>> {
    let mut numbers = BTreeSet::new();
    for Container { name, address, .. } in containers {
        let number = address
            .strip_prefix("10.244.1.")
            .and_then(|text| text.parse().ok());
        let number = number.with_context(|| format!("{name} has the address {address}"))?;
        ensure!(
            numbers.insert(number),
            "{name} got {address}, as another did"
        );
    }
    Ok(numbers)
}

/// An error unless the container's interface and routes are as the lease and the configuration have
/// them.
fn is_joined(node: &Machine<'_>, container: &Container, address: &str) -> Result<()> {
    let ip = |words: &[&str]| node.in_container(&container.name, &[&["ip", "-4"], words].concat());
    let printed = node.inspect(&container.name, "{{json .NetworkSettings.Networks}}")?;
    let printed: serde_json::Value = serde_json::from_str(&printed)?;
    let of = |key: &str| printed.pointer(&format!("/{NETWORK}/{key}")).cloned();
    ensure!(
        of("IPAddress") == Some(address.into())
            && of("IPPrefixLen") == Some(28.into())
            && of("Gateway") == Some("10.244.1.1".into()),
        "podman does not know {address}/28 with the gateway 10.244.1.1: {printed}"
    );
    let shown = ip(&["address", "show", "dev", "eth0"])?;
    let inet = format!("    inet {address}/28 brd 10.244.1.15 scope global eth0");
    ensure!(
        shown
            .lines()
            .filter(|line| line.contains("inet "))
            .eq([inet.as_str()]),
        "eth0 does not have `{}` alone:\n{shown}",
        inet.trim()
    );
    ensure!(
        shown.contains(" mtu 1430 "),
        "eth0 has not the lease's MTU, 1430:\n{shown}"
    );
    let routes = ip(&["route"])?;
    let expected = format!(
        "default via 10.244.1.1 dev eth0\n\
         10.244.0.0/16 via 10.244.1.1 dev eth0\n\
         10.244.1.0/28 dev eth0 scope link  src {address}"
    );
    ensure!(
        routes == expected,
        "the routes are\n{routes}\ninstead of\n{expected}"
    );
    Ok(())
}

/// Packets of the lease's MTU pass in both directions.
fn reach_each_other(node: &Machine<'_>, one: &Container, other: &Container) -> Result<()> {
    for (from, to) in [(one, other), (other, one)] {
        // With 8 bytes of ICMP header and 20 of IP it is 1430.
        let ping = ["ping", "-c1", "-W5", "-s1402", &to.address];
        node.in_container(&from.name, &ping)
            .with_context(|| format!("no path from {} to {}", from.name, to.name))?;
    }
    Ok(())
}

/// A port that is published over TCP and UDP leads to its container while that runs, and nowhere
/// afterwards, and DEL leaves nothing.
fn publishes(node: &Machine<'_>, disk: &Disk, network: &str) -> Result<()> {
    const NAME: &str = "echo";
    const BOTH: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];
    let (tcp, udp) = (format!("{ECHO_PORT}:80"), format!("{ECHO_PORT}:80/udp"));
    let options = ["--network", network, "--publish", &tcp, "--publish", &udp];
    let id = run_command(node, disk, NAME, &options, IDLE)?;
    let id = id.trim_end();
    node.serve(NAME, 80)?;
    for protocol in BOTH {
        let answer = node.ask(protocol, ECHO_PORT, Duration::from_secs(10));
        let answer = answer.unwrap_or_default();
        ensure!(
            answer.starts_with("echo sees "),
            "{HOST}:{ECHO_PORT} answers {answer:?} over {protocol:?}"
        );
    }
    node.podman(&["rm", "--force", "--time=0", NAME])?;
    for protocol in BOTH {
        let answer = node.ask(protocol, ECHO_PORT, Duration::from_millis(300));
        ensure!(
            answer.is_none(),
            "{HOST}:{ECHO_PORT} still answers over {protocol:?}"
        );
    }
    let held = disk.addresses(network)?;
    ensure!(
        !held.values().any(|owner| owner.contains(id)),
        "its address is left: {held:#?}"
    );
    let rules = node.run(&["nft", "list", "ruleset"])?;
    ensure!(
        !rules.contains(id) && !rules.contains(&ECHO_PORT.to_string()),
        "rules of the container are left:\n{rules}"
    );
    Ok(())
}

/// The published port answers on the host's own address.
fn answers(node: &Machine<'_>) -> Result<()> {
    let printed = node.run(&[
        "busybox",
        "wget",
        "-q",
        "-O-",
        &format!("http://{HOST}:{PORT}/"),
    ])?;
    ensure!(
        printed == PAGE,
        "the published port answers {printed:?} instead of {PAGE:?}"
    );
    Ok(())
}
