//! A contender on a node of its own, and what calls it gets.

use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::Node;

use super::Figures;
use super::attached;
use super::batch::Batch;
use super::contender::Contender;
use super::network::{self, BRIDGE, DESTINATIONS, GATEWAY, MTU, PREFIX};
use super::quantity::{Aspect, Command, Quantity};
use super::seen::Seen;
use super::slot::Slot;
use crate::call::{Answer, Call, Timed};
use crate::contest::Entrant;
use crate::{container, memory};
use xtask::command::{self, Show};

/// A contender with a node and containers.
#[derive(Debug)]
pub(super) struct Entry {
    contender: Contender,
    program: PathBuf,
    /// What it attaches with, if that is plugins.
    plugins: Option<Plugins>,
    node: Node,
    slots: Vec<Slot>,
    /// How many calls are made at a time.
    pub(super) at_a_time: u32,
    /// What there is when no container is attached.
    at_rest: Seen,
    /// What there was when the first container was attached; `None` of one that attaches none.
    pub(super) attached: Option<Seen>,
}

/// Where a chain of plugins finds things.
#[derive(Clone, Debug)]
pub(super) struct Plugins {
    /// The folder of flannel's delegate and of that one's IPAM plugin.
    pub(super) delegates: PathBuf,
    /// flanneld's lease.
    pub(super) subnet_file: PathBuf,
    /// Where flannel keeps the delegate's configurations.
    pub(super) data_dir: PathBuf,
    /// Where the addresses of networks are noted.
    pub(super) addresses: PathBuf,
}

impl Plugins {
    fn netconf(&self) -> Value {
        network::netconf(&self.subnet_file, &self.data_dir, &self.addresses)
    }
}

impl Entry {
    /// Makes the node and the containers, attaches a first one, sees whether it reaches its gateway, and detaches it again.
    ///
    /// A program without plugins finds the bridge there, as plugins do from their second call on.
    pub(super) fn new(
        contender: Contender,
        program: &Path,
        plugins: Option<Plugins>,
        containers: usize,
    ) -> Result<Self> {
        let slots: Result<Vec<Slot>> = (0..containers).map(Slot::new).collect();
        let mut entry = Self {
            contender,
            program: program.to_owned(),
            plugins,
            node: Node::new()?,
            slots: slots?,
            at_a_time: 1,
            at_rest: Seen::default(),
            attached: None,
        };
        let [add, del] = Quantity::ROUND;
        match contender {
            Contender::Empty => {}
            Contender::Floor => entry.make_bridge()?,
            Contender::OneProcess | Contender::Processes | Contender::Reference => {
                // The node's bridge stays after the first container.
                entry.run(add, 0)?;
                entry.run(del, 0)?;
            }
        }
        entry.at_rest = entry.seen();
        entry.run(add, 0)?;
        if let (Some(slot), true) = (entry.slots.first(), contender != Contender::Empty) {
            slot.check_gateway()?;
            entry.attached = Some(attached::look(&entry.node, slot));
        }
        entry.run(del, 0)?;
        entry.check()?;
        Ok(entry)
    }

    fn make_bridge(&self) -> Result<()> {
        let address = format!("{GATEWAY}/{PREFIX}");
        let commands = [
            format!("link add {BRIDGE} address 0a:58:0a:f4:01:01 mtu {MTU} type bridge"),
            format!("address add {address} dev {BRIDGE}"),
            format!("link set {BRIDGE} up"),
        ];
        self.node.enter(|| {
            commands.iter().try_for_each(|arguments| {
                let mut ip = process::Command::new("ip");
                ip.args(arguments.split(' '));
                command::run(ip, Show::IfItFails)
            })
        })
    }

    fn seen(&self) -> Seen {
        let folders = self.plugins.iter().flat_map(|plugins| {
            let addresses = plugins.addresses.join(network::NAME);
            [plugins.data_dir.clone(), addresses]
        });
        let folders: Vec<PathBuf> = folders.collect();
        Seen::on(
            &self.node,
            &self.slots,
            folders.iter().map(PathBuf::as_path),
        )
    }

    /// The containers that a round's calls are for, with their ids: one, or all.
    fn containers(&self, round: usize, is_one: bool) -> Vec<(&Slot, String)> {
        let all = self.slots.len();
        let numbers = match is_one {
            true => round..round + 1,
            false => round * all..(round + 1) * all,
        };
        let slots = self
            .slots
            .iter()
            .cycle()
            .skip(round % all * usize::from(is_one));
        slots.zip(numbers.map(container::caller)).collect()
    }

    /// The call for a container.
    fn call_for(&self, command: Command, slot: &Slot, id: &str) -> Call {
        let netns = slot.sandbox.path().display().to_string();
        let Some(plugins) = &self.plugins else {
            return Call {
                arguments: self.arguments(command, slot, netns),
                ..Call::bare(&self.program)
            };
        };
        let mut netconf = plugins.netconf();
        if let (Command::Del, Some(result)) = (command, slot.kept())
            && let Some(netconf) = netconf.as_object_mut()
        {
            netconf.insert("prevResult".to_owned(), result);
        }
        Call::plugin(&self.program, command.name(), id, &netconf)
            .with("CNI_NETNS", netns)
            .with("CNI_PATH", plugins.delegates.display().to_string())
    }

    /// What a program that is no plugin is told on its command line.
    fn arguments(&self, command: Command, slot: &Slot, netns: String) -> Vec<String> {
        match (self.contender, command) {
            (Contender::Floor, Command::Add) => {
                let mut arguments = vec!["add".to_owned(), netns, BRIDGE.to_owned()];
                arguments.extend([MTU.to_string(), slot.address.clone(), GATEWAY.to_string()]);
                arguments.extend(DESTINATIONS.map(str::to_owned));
                arguments
            }
            (Contender::Floor, Command::Del) => vec!["del".to_owned(), netns],
            _ => Vec::new(),
        }
    }

    /// Makes the calls for these containers, inside the node, and keeps their results.
    fn make(
        &self,
        quantity: Quantity,
        containers: &[(&Slot, String)],
        at_a_time: u32,
    ) -> Result<Batch> {
        let calls = containers.iter();
        let calls = calls.map(|(slot, id)| self.call_for(quantity.command, slot, id));
        let calls: Vec<Call> = calls.collect();
        let answer = self.answer(quantity);
        let batch = self
            .node
            .enter(|| Batch::run(&calls, answer, at_a_time as usize))
            .with_context(|| self.contender.to_string())?;
        if quantity.command == Command::Add {
            for ((slot, _), call) in containers.iter().zip(&batch.calls) {
                slot.keep(&call.stdout);
            }
        }
        Ok(batch)
    }
}

impl Entrant for Entry {
    type Operation = Quantity;
    type Contender = Contender;

    fn contender(&self) -> Contender {
        self.contender
    }

    /// How many calls are made at a time.
    fn size(&self) -> u32 {
        self.at_a_time
    }

    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    /// An error unless no container is attached and nothing is left of any.
    fn check(&self) -> Result<()> {
        let checked = self.seen().check_same(&self.at_rest);
        checked.with_context(|| format!("{}: not as before", self.contender))
    }

    fn call(&self, quantity: Quantity, round: usize) -> Call {
        let containers = self.containers(round, true);
        let call = containers.first();
        let call = call.map(|(slot, id)| self.call_for(quantity.command, slot, id));
        call.unwrap_or_else(|| Call::bare(&self.program))
    }

    fn answer(&self, quantity: Quantity) -> Answer {
        match (&self.plugins, quantity.command) {
            (Some(_), Command::Add) => Answer::Address,
            _ => Answer::Nothing,
        }
    }

    fn run(&self, quantity: Quantity, round: usize) -> Result<Timed> {
        let batch = self.make(quantity, &self.containers(round, true), 1)?;
        let call = batch.calls.into_iter().next();
        call.context("there is no container")
    }

    fn measure(&self, quantity: Quantity, round: usize) -> Result<Vec<(Quantity, Duration)>> {
        let is_one = self.at_a_time == 1;
        let batch = self.make(quantity, &self.containers(round, is_one), self.at_a_time)?;
        let count = batch.calls.len().max(1) as u32;
        let times = batch.calls.iter().map(|call| (quantity, call.elapsed));
        let means = [
            (quantity.but(Aspect::Processor), batch.processor / count),
            (quantity.but(Aspect::Share), batch.elapsed / count),
        ];
        Ok(times.chain(means).collect())
    }

    fn run_for_peak(&self, quantity: Quantity, round: usize, figures: &mut Figures) -> Result<()> {
        let call = self.call(quantity, round);
        let peak = self.node.enter(|| memory::peak_of_all(&call))?;
        figures.add_peak(quantity, self.contender, self.at_a_time, peak);
        Ok(())
    }
}
