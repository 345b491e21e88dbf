//! Containers that come and go.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use nix::unistd::sync;
use serde_json::Value;
use testkit::NetNs;

use super::Task;
use super::call::Caller;
use super::console::Console;
use super::network::{INTERFACES, Network};
use crate::event::Attachment;

/// For each network.
const WORKERS: u32 = 2;
const CONTAINERS_OF_A_WORKER: usize = 4;

/// Makes the task's calls.
///
/// # Panics
/// If one fails.
pub(super) fn run(task: &Task, networks: &[Network], console: &Console) -> Result<()> {
    let mut random = Rng::with_seed(task.seed);
    let mut workers = Vec::new();
    for network in networks {
        for worker in 0..WORKERS {
            let name = format!("c{}-{worker}", task.boot);
            workers.push(Worker::new(network, console, name, random.fork())?);
        }
    }
    thread::scope(|scope| {
        let work = |worker: Worker<'_>| worker.work(task.calls);
        let at_work: Vec<_> = workers
            .into_iter()
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        while task.sync && at_work.iter().any(|thread| !thread.is_finished()) {
            thread::sleep(Duration::from_millis(random.u64(5..200)));
            sync();
        }
    });
    Ok(())
}

struct Worker<'a> {
    flannel: Caller<'a>,
    name: String,
    random: Rng,
    containers: Vec<Container>,
    /// How many there were.
    count: u32,
}

struct Container {
    netns: NetNs,
    id: String,
    /// Its interfaces and the results of their ADD.
    attached: Vec<(Attachment, Value)>,
}

impl<'a> Worker<'a> {
    fn new(network: &'a Network, console: &'a Console, name: String, random: Rng) -> Result<Self> {
        let container = || {
            Ok(Container {
                netns: NetNs::new()?,
                id: String::new(),
                attached: Vec::new(),
            })
        };
        let containers = std::iter::repeat_with(container).take(CONTAINERS_OF_A_WORKER);
        Ok(Self {
            flannel: Caller::of_flannel(network, console),
            name,
            random,
            containers: containers.collect::<Result<_>>()?,
            count: 0,
        })
    }

    /// The last call is a DEL: nothing that comes after it could have it written out as well.
    fn work(mut self, calls: u32) {
        for _ in 0..calls {
            let chosen = self.random.choice(self.containers.iter_mut());
            let Some(container) = chosen else { return };
            if container.attached.is_empty() {
                self.count += 1;
                container.id = format!("{}-{}", self.name, self.count);
            }
            let one_more = container.attached.len() < INTERFACES.len() && self.random.u8(..3) == 0;
            if container.attached.is_empty() || one_more {
                container.attach(&self.flannel);
            } else {
                let chosen = self.random.usize(..container.attached.len());
                container.detach(&self.flannel, chosen);
            }
        }
        let mut containers = self.containers.iter_mut();
        if let Some(container) = containers.find(|container| !container.attached.is_empty()) {
            container.detach(&self.flannel, 0);
        }
    }
}

impl Container {
    fn attach(&mut self, flannel: &Caller<'_>) {
        let is_free = |ifname: &&&str| {
            let mut attached = self.attached.iter();
            !attached.any(|(attachment, _)| attachment.ifname == **ifname)
        };
        let Some(ifname) = INTERFACES.iter().find(is_free) else {
            return;
        };
        let attachment = flannel.attachment(&self.id, ifname);
        let (_, result) = flannel.add(&attachment, &self.netns.path());
        self.attached.push((attachment, result));
    }

    fn detach(&mut self, flannel: &Caller<'_>, chosen: usize) {
        let (attachment, result) = self.attached.swap_remove(chosen);
        flannel.del(&attachment, &self.netns.path(), Some(&result));
    }
}
