//! A contender on a node of its own, and its calls.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testkit::{Container, Node};

use super::batch::Batch;
use super::{ADD_PROCESSOR, ADD_SHARE, DEL_PROCESSOR, DEL_SHARE};
use crate::call::{ProgramCall, container_id};
use crate::contest::Entrant;
use crate::state_dir::held;

pub(super) const NETWORK: &str = "cbr0";
pub(super) const BRIDGE: &str = "cni0";
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 1);
const PREFIX: u8 = 24;
const MTU: u32 = 1450;
/// The destinations of a container's routes through the gateway: all, and the flannel network.
const DESTINATIONS: [&str; 2] = ["0.0.0.0/0", "10.244.0.0/16"];

/// The lease, as flanneld writes it when it takes care of masquerading itself.
pub(super) fn subnet_env() -> String {
    let [_, network] = DESTINATIONS;
    format!(
        "FLANNEL_NETWORK={network}\nFLANNEL_SUBNET={GATEWAY}/{PREFIX}\nFLANNEL_MTU={MTU}\n\
         FLANNEL_IPMASQ=true\n"
    )
}

/// Where a chain of plugins finds things.
#[derive(Clone)]
pub(super) struct Plugins {
    /// The directory of flannel's delegate and of that one's IPAM plugin.
    pub(super) delegates: PathBuf,
    pub(super) subnet_file: PathBuf,
    /// Where flannel keeps configurations.
    pub(super) data_dir: PathBuf,
    /// Where host-local keeps addresses.
    pub(super) addresses: PathBuf,
}

/// A contender with a node and containers.
pub(super) struct Entry {
    pub(super) contender: &'static str,
    program: PathBuf,
    /// What it attaches with; the floor attaches without plugins.
    pub(super) plugins: Option<Plugins>,
    pub(super) node: Node,
    slots: Vec<Slot>,
    /// How many calls are made at a time.
    pub(super) at_a_time: u32,
    /// What exists while no container is attached.
    at_rest: Vec<String>,
    /// What an ADD makes: the interface, its routes and the bridge's port.
    pub(super) attached: Vec<String>,
}

/// A container that is attached and detached over and over.
struct Slot {
    container: Container,
    /// The address for the floor, which has no IPAM.
    address: String,
    /// The last ADD's result, for the DEL after it.
    result: Mutex<Option<Value>>,
}

impl Entry {
    /// Makes the node and the containers, and sees whether an attached one reaches its gateway.
    pub(super) fn new(
        contender: &'static str,
        program: PathBuf,
        plugins: Option<Plugins>,
        containers: usize,
    ) -> Result<Self> {
        let mut entry = Self::on_new_node(contender, program, plugins, containers)?;
        if entry.plugins.is_some() {
            // The bridge stays after the first container.
            entry.measure("ADD", 0)?;
            entry.measure("DEL", 0)?;
        } else {
            entry.create_bridge();
        }
        entry.at_rest = entry.seen();
        entry.measure("ADD", 0)?;
        entry.attached = entry.look_at_attached()?;
        entry.measure("DEL", 0)?;
        entry.check()?;
        Ok(entry)
    }

    /// Makes the node, which has no bridge yet, and the containers.
    pub(super) fn on_new_node(
        contender: &'static str,
        program: PathBuf,
        plugins: Option<Plugins>,
        containers: usize,
    ) -> Result<Self> {
        let slots = (0..containers).map(|number| {
            let address = Ipv4Addr::from_bits(GATEWAY.to_bits() + 1 + number as u32);
            Slot {
                container: Container::new(&format!("slot{number}")),
                address: format!("{address}/{PREFIX}"),
                result: Mutex::default(),
            }
        });
        Ok(Self {
            contender,
            program,
            plugins,
            node: Node::new()?,
            slots: slots.collect(),
            at_a_time: 1,
            at_rest: Vec::new(),
            attached: Vec::new(),
        })
    }

    /// Creates the bridge as the plugins do.
    pub(super) fn create_bridge(&self) {
        let address = format!("address add {GATEWAY}/{PREFIX} dev {BRIDGE}");
        let bridge = format!("link add {BRIDGE} mtu {MTU} address 0a:58:0a:f4:01:01 type bridge");
        for command in [bridge, address, format!("link set {BRIDGE} up")] {
            self.node.ip(&command);
        }
    }

    /// All links with their IPv4 addresses, and the files of attachments.
    fn seen(&self) -> Vec<String> {
        let links = self.node.ip_json(&["address"]);
        let links = links.as_array().into_iter().flatten().map(|link| {
            let addresses = link.get("addr_info").and_then(Value::as_array);
            let is_ipv4 = |it: &&Value| it.get("family").is_some_and(|family| family == "inet");
            let addresses = addresses.into_iter().flatten().filter(is_ipv4);
            let addresses: Vec<_> = addresses.filter_map(|it| it.get("local")).collect();
            format!("{:?} {addresses:?}", link.get("ifname"))
        });
        let mut seen: Vec<String> = links.collect();
        for slot in &self.slots {
            seen.extend(slot.container.link_names());
        }
        if let Some(plugins) = &self.plugins {
            seen.extend(held(&plugins.data_dir));
            seen.extend(held(&plugins.addresses.join(NETWORK)));
        }
        seen
    }

    /// What the first container has, without its address; an error unless it reaches its gateway.
    fn look_at_attached(&self) -> Result<Vec<String>> {
        let container = &self
            .slots
            .first()
            .context("there is no container")?
            .container;
        let ping = ["-q", "-c", "1", "-W", "2", &GATEWAY.to_string()];
        let output = container.sandbox.command(Command::new("ping").args(ping));
        ensure!(
            output.status.success(),
            "{}: no gateway: {output:?}",
            self.contender
        );
        let link = container.link("eth0");
        let port = self.node.ip_json(&["-d", "link", "show", "master", BRIDGE]);
        let hairpin = port.pointer("/0/linkinfo/info_slave_data/hairpin");
        let own = link.addresses().first().cloned().unwrap_or_default();
        let own = own.split('/').next().unwrap_or_default();
        let mut all = vec![format!("mtu {}, hairpin {hairpin:?}", link.mtu())];
        all.extend(link.addresses());
        all.extend(container.routes_in_full());
        Ok(all
            .iter()
            .map(|line| line.replace(own, "ADDRESS"))
            .collect())
    }

    /// Makes the calls of an operation for a round's containers.
    pub(super) fn batch(&self, operation: &'static str, round: usize) -> Result<Batch> {
        let containers = self.containers(round);
        let calls = containers
            .iter()
            .map(|(slot, id)| self.call_for(operation, slot, id));
        let calls: Vec<ProgramCall> = calls.collect();
        let batch = self
            .node
            .enter(|| Batch::run(&calls, self.at_a_time as usize))?;
        if operation == "ADD" {
            for ((slot, _), call) in containers.iter().zip(&batch.calls) {
                let result = serde_json::from_slice(&call.stdout).ok();
                *slot.result.lock().unwrap_or_else(PoisonError::into_inner) = result;
            }
        }
        Ok(batch)
    }

    /// The result of the last ADD of a round's first container.
    pub(super) fn last_result(&self, round: usize) -> Option<Value> {
        let containers = self.containers(round);
        let (slot, _) = containers.first()?;
        let result = slot.result.lock();
        result.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn call_for(&self, command: &'static str, slot: &Slot, id: &str) -> ProgramCall {
        let netns = slot.container.sandbox.path().display().to_string();
        let Some(plugins) = &self.plugins else {
            let mut arguments = vec![command.to_lowercase(), netns];
            if command == "ADD" {
                let words = [
                    BRIDGE,
                    &MTU.to_string(),
                    &slot.address,
                    &GATEWAY.to_string(),
                ];
                arguments.extend(words.into_iter().chain(DESTINATIONS).map(str::to_owned));
            }
            return ProgramCall {
                arguments,
                ..ProgramCall::bare(&self.program)
            };
        };
        let mut netconf = json!({
            "cniVersion": "1.0.0",
            "name": NETWORK,
            "type": "flannel",
            "subnetFile": plugins.subnet_file,
            "dataDir": plugins.data_dir,
            "ipam": { "dataDir": plugins.addresses },
            "delegate": { "hairpinMode": true, "isDefaultGateway": true },
        });
        let result = slot
            .result
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let ("DEL", Some(result)) = (command, result) {
            netconf = testkit::conf::with(netconf, json!({ "prevResult": result }));
        }
        ProgramCall::plugin(&self.program, command, id, &netconf)
            .with("CNI_NETNS", netns)
            .with("CNI_PATH", plugins.delegates.display().to_string())
    }

    /// The containers that a round's calls are for, with their IDs: one, or all.
    fn containers(&self, round: usize) -> Vec<(&Slot, String)> {
        let all = self.slots.len();
        let (skipped, numbers) = match self.at_a_time {
            1 => (round % all, round..round + 1),
            _ => (0, round * all..(round + 1) * all),
        };
        let slots = self.slots.iter().cycle().skip(skipped);
        slots
            .zip(numbers.map(|number| container_id("caller", number)))
            .collect()
    }
}

impl Entrant for Entry {
    fn contender(&self) -> &'static str {
        self.contender
    }

    fn size(&self) -> u32 {
        self.at_a_time
    }

    fn call(&self, operation: &'static str, round: usize) -> ProgramCall {
        let containers = self.containers(round);
        let call = containers
            .first()
            .map(|(slot, id)| self.call_for(operation, slot, id));
        call.unwrap_or_else(|| ProgramCall::bare(&self.program))
    }

    fn node(&self) -> Option<&Node> {
        Some(&self.node)
    }

    fn measure(
        &self,
        operation: &'static str,
        round: usize,
    ) -> Result<Vec<(&'static str, Duration)>> {
        let batch = self.batch(operation, round)?;
        let (processor, share) = match operation {
            "ADD" => (ADD_PROCESSOR, ADD_SHARE),
            _ => (DEL_PROCESSOR, DEL_SHARE),
        };
        let count = batch.calls.len().max(1) as u32;
        let times = batch.calls.iter().map(|call| (operation, call.elapsed));
        let means = [
            (processor, batch.processor / count),
            (share, batch.elapsed / count),
        ];
        Ok(times.chain(means).collect())
    }

    fn check(&self) -> Result<()> {
        let (seen, at_rest) = (self.seen(), &self.at_rest);
        ensure!(
            seen == *at_rest,
            "{}: {seen:?} instead of {at_rest:?}",
            self.contender
        );
        Ok(())
    }
}
