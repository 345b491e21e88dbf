//! portmap alone: ADD, CHECK and DEL by the number of mappings on the node.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::{Container, Node};

use crate::Setting;
use crate::call::{ProgramCall, container_id};
use crate::contest::{Contest, EMPTY, Entrant};
use crate::figures::Figures;
use crate::report::{Report, Target};

const TWILL: &str = "Twill";
const GO: &str = "Go";

/// How many mappings other containers have on the node. Go's containers have none: it takes a
/// minute to give them a thousand.
const SIZES: [u32; 4] = [0, 100, 1_000, MOST];
const MOST: u32 = 4_000;
/// How many of them a container has.
const PER_CONTAINER: u32 = 100;

const WITHOUT_PORTS: &str = "ADD without ports";
const OPERATIONS: &[&str] = &[WITHOUT_PORTS, "ADD", "CHECK", "DEL"];

pub(crate) fn measure(setting: &Setting) -> Result<Report> {
    let go = testkit::requirements::reference_plugin("portmap")
        .context("Debian package containernetworking-plugins has no portmap")?;
    let twill = setting.plugins.join("portmap");
    let (rounds, seconds) = if setting.quick { (40, 3) } else { (300, 20) };
    let contest = Contest {
        round: OPERATIONS,
        rounds,
        budget: Duration::from_secs(seconds),
        looks: &setting.looks,
        look_rounds: 1,
    };
    let mut figures = Figures::default();
    for size in SIZES {
        let mut entries = Vec::new();
        for (contender, program) in [(EMPTY, &setting.empty), (TWILL, &twill), (GO, &go)] {
            if contender == TWILL || size == 0 {
                entries.push(Entry::new(contender, program, size)?);
            }
        }
        contest.run(&format!("{size} mappings"), &entries, &mut figures)?;
    }
    let time = |one, other, limit| Target::time(&figures, one, other, limit);
    let grown = |operation| time((operation, TWILL, MOST), (operation, TWILL, 0), 1.5);
    let without = |contender| (WITHOUT_PORTS, contender, 0);
    let targets = vec![
        time(without(TWILL), without(EMPTY), 1.3),
        time(without(TWILL), without(GO), 0.12),
        time(("ADD", TWILL, 0), ("ADD", GO, 0), 0.12),
        grown("ADD"),
        grown("CHECK"),
        grown("DEL"),
    ];
    Ok(Report {
        title: "portmap by mappings on the node",
        size: "mappings",
        remarks: "ADD, CHECK and DEL are of a container with two ports. Go is Debian's portmap, \
                  with iptables.\n",
        contenders: &[EMPTY, TWILL, GO],
        operations: OPERATIONS,
        plotted: &["ADD", "DEL"],
        compared: &[(TWILL, GO), (TWILL, EMPTY)],
        targets,
        figures,
    })
}

/// A contender on a node of its own, whose other containers have mappings.
struct Entry {
    contender: &'static str,
    program: PathBuf,
    size: u32,
    node: Node,
    container: Container,
    /// The number of lines of the ruleset while the container has no port.
    at_rest: usize,
}

impl Entry {
    fn new(contender: &'static str, program: &Path, size: u32) -> Result<Self> {
        let node = Node::new()?;
        for command in [
            "link add cni0 type bridge",
            "address add 10.244.0.1/16 dev cni0",
            "link set cni0 up",
        ] {
            node.ip(command);
        }
        let mut entry = Self {
            contender,
            program: program.to_owned(),
            size,
            node,
            container: Container::new("caller"),
            at_rest: 0,
        };
        for number in 0..size / PER_CONTAINER {
            let first = 10_000 + number * PER_CONTAINER;
            let address = format!("10.244.{}.2/16", 1 + number);
            let conf = conf(&address, first..first + PER_CONTAINER);
            let add = entry.plugin_call("ADD", &container_id("holder", number as usize), &conf);
            entry.node.enter(|| add.run())?;
        }
        // The first ADD creates the tables.
        for operation in ["ADD", "DEL"] {
            let call = entry.call(operation, 0);
            entry.node.enter(|| call.run())?;
        }
        entry.at_rest = entry.rules()?;
        Ok(entry)
    }

    fn plugin_call(&self, command: &str, container: &str, conf: &Value) -> ProgramCall {
        let netns = self.container.sandbox.path().display().to_string();
        ProgramCall::plugin(&self.program, command, container, conf)
            .with("CNI_NETNS", netns)
            // Go's finds iptables there.
            .with("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .silent_if(self.contender == EMPTY)
    }

    fn rules(&self) -> Result<usize> {
        let list = || {
            std::process::Command::new("nft")
                .args(["list", "ruleset"])
                .output()
        };
        let output = self.node.enter(list).context("cannot run nft")?;
        ensure!(output.status.success(), "`nft list ruleset`: {output:?}");
        Ok(String::from_utf8_lossy(&output.stdout).lines().count())
    }
}

/// The configuration of a container whose ports of these numbers lead to the same ports.
fn conf(address: &str, ports: std::ops::Range<u32>) -> Value {
    let mapping = |port| json!({ "hostPort": port, "containerPort": port, "protocol": "tcp" });
    json!({
        "cniVersion": "1.0.0",
        "name": "cbr0",
        "type": "portmap",
        "capabilities": { "portMappings": true },
        "runtimeConfig": { "portMappings": ports.map(mapping).collect::<Vec<_>>() },
        "prevResult": {
            "cniVersion": "1.0.0",
            "interfaces": [{ "name": "eth0", "sandbox": "/run/netns/caller" }],
            "ips": [{ "address": address, "interface": 0 }],
        },
    })
}

impl Entrant for Entry {
    fn contender(&self) -> &'static str {
        self.contender
    }

    fn size(&self) -> u32 {
        self.size
    }

    fn call(&self, operation: &'static str, round: usize) -> ProgramCall {
        let (command, ports) = match operation {
            WITHOUT_PORTS => ("ADD", 80..80),
            _ => (operation, 80..82),
        };
        let conf = conf("10.244.0.2/16", ports);
        self.plugin_call(command, &container_id("caller", round), &conf)
    }

    fn node(&self) -> Option<&Node> {
        Some(&self.node)
    }

    /// Go's CHECK fails where a container has no IPv6 address.
    fn before(&self, operation: &str, _: usize) -> Result<bool> {
        Ok(self.contender != GO || operation != "CHECK")
    }

    /// An error unless only the other containers have ports.
    fn check(&self) -> Result<()> {
        let (rules, at_rest) = (self.rules()?, self.at_rest);
        ensure!(
            rules == at_rest,
            "{rules} lines of rules instead of {at_rest}"
        );
        Ok(())
    }
}
