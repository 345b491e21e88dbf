//! The boot of a node, on which the containers of all its pods come at once.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use testkit::Node;

use super::entry::{BRIDGE, Entry};
use crate::Setting;
use crate::figures::Figures;

/// The most pods that kubelet runs on a node, unless it is told otherwise.
pub(super) const CONTAINERS: usize = 110;

/// How many of them kubelet's runtime attaches at a time.
pub(super) const AT_A_TIME: u32 = 10;

/// With those of the containers, the bridge has nearly as many ports as the kernel allows, 1,023.
const PORTS: usize = 900;

pub(super) const ON_AN_EMPTY_NODE: &str = "ADD of 110 containers on an empty node";
pub(super) const BESIDE_PORTS: &str = "ADD of 110 containers beside 900 ports";

/// Measures the time until the last container is attached.
pub(super) fn measure(
    setting: &Setting,
    entries: &mut [Entry],
    rounds: usize,
    figures: &mut Figures,
) -> Result<()> {
    for round in 0..rounds {
        for (operation, ports) in [(ON_AN_EMPTY_NODE, 0), (BESIDE_PORTS, PORTS)] {
            for entry in &mut *entries {
                entry.at_a_time = AT_A_TIME;
                entry.node = Node::new()?;
                if let Some(plugins) = &mut entry.plugins {
                    let dir = |name| setting.state.dir(&format!("{name}-{round}-{ports}"));
                    plugins.data_dir = dir(format!("{}-boot-flannel", entry.contender));
                    plugins.addresses = dir(format!("{}-boot-networks", entry.contender));
                }
                if ports > 0 {
                    entry.create_bridge();
                    add_ports(&entry.node, ports)?;
                }
                let elapsed = entry.batch("ADD", round)?.elapsed;
                figures.add_time((operation, entry.contender, AT_A_TIME), elapsed);
                entry.batch("DEL", round)?;
            }
        }
    }
    Ok(())
}

/// Plugs pairs of links into the bridge whose other ends go nowhere.
fn add_ports(node: &Node, count: usize) -> Result<()> {
    let add = |number| {
        format!("link add port{number} master {BRIDGE} up type veth peer name end{number}\n")
    };
    let commands: String = (0..count).map(add).collect();
    let mut ip = Command::new("ip");
    ip.args(["-batch", "-"]).stdin(Stdio::piped());
    let status = node.enter(|| -> Result<_> {
        let mut ip = ip.spawn().context("cannot run `ip`")?;
        let stdin = ip.stdin.take().context("`ip` has no standard input")?;
        { stdin }.write_all(commands.as_bytes())?;
        Ok(ip.wait()?)
    })?;
    ensure!(status.success(), "cannot add {count} ports: {status}");
    Ok(())
}
