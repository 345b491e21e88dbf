//! The audit: what must be true of the state after a power cut.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::{Invocation, NetNs, Outcome};

use super::call::Caller;
use super::console::Console;
use super::network::{INTERFACES, Network, STATE};
use super::{PLUGINS, Task};
use crate::event::{Attachment, Event, Progress};

/// Old containers' namespaces went with the power.
const GONE: &str = "/run/netns/gone";

/// docs/errors.md.
const ALL_TAKEN: u64 = 110;
const NOT_AS_EXPECTED: u64 = 120;

/// Not the plugins'.
const OF_THE_FILE_SYSTEM: &str = "lost+found";

pub(super) struct Audit<'a> {
    pub(super) task: &'a Task,
    pub(super) networks: &'a [Network],
    pub(super) old: &'a [Event],
    pub(super) console: &'a Console,
}

impl Audit<'_> {
    /// # Errors
    /// If something else is left than should be.
    ///
    /// # Panics
    /// If a call fails.
    pub(super) fn run(&self) -> Result<()> {
        self.every_plugin_starts()?;
        let durable = |network: &&Network| self.task.exact && network.backend.is_durable();
        for network in self.networks.iter().filter(durable) {
            self.successes_hold(network);
        }
        for network in self.networks {
            if self.task.new_first {
                let new = self.fill(network)?;
                self.delete_old(network);
                for (address, attachment) in &new {
                    self.holds(network, attachment, *address);
                }
                self.delete(network, &new);
            } else {
                self.delete_old(network);
                for old in self.old_of(network) {
                    self.holds_nothing(network, &old.attachment);
                }
                self.no_file_names_old(network)?;
                let new = self.fill(network)?;
                self.delete(network, &new);
            }
            self.come_and_go(network)?;
        }
        self.nothing_is_left()
    }

    fn every_plugin_starts(&self) -> Result<()> {
        let entries = fs::read_dir(PLUGINS).with_context(|| format!("cannot read {PLUGINS}"))?;
        for entry in entries {
            let entry = entry?;
            // The binary itself is no link; its name is no plugin's.
            if entry.file_type()?.is_symlink() {
                Invocation::new(entry.path(), "VERSION").run().success();
            }
        }
        for network in self.networks {
            Caller::of_flannel(network, self.console)
                .status()
                .run()
                .silent();
            Caller::of_host_local(network, self.console)
                .status()
                .run()
                .silent();
        }
        Ok(())
    }

    fn old_of<'b>(&'b self, network: &'b Network) -> impl Iterator<Item = &'b Event> {
        let of_network = |event: &&Event| event.attachment.network == network.backend;
        self.old.iter().filter(of_network)
    }

    /// An ADD that succeeded holds its address, and a DEL that succeeded has given it back.
    fn successes_hold(&self, network: &Network) {
        for Event {
            attachment,
            progress,
        } in self.old_of(network)
        {
            match progress {
                Progress::Added(address) => self.holds(network, attachment, *address),
                Progress::Deleted => self.holds_nothing(network, attachment),
                Progress::Adds | Progress::Deletes => {}
            }
        }
    }

    fn check(&self, network: &Network, attachment: &Attachment, result: &Value) -> Outcome {
        let host_local = Caller::of_host_local(network, self.console);
        let check = host_local.call("CHECK", attachment, Path::new(GONE), Some(result));
        check.run()
    }

    fn holds(&self, network: &Network, attachment: &Attachment, address: Ipv4Addr) {
        let result = network.result(Some(address));
        self.check(network, attachment, &result).silent();
    }

    fn holds_nothing(&self, network: &Network, attachment: &Attachment) {
        let outcome = self.check(network, attachment, &network.result(None));
        assert_eq!(outcome.failure().code, NOT_AS_EXPECTED, "{outcome}");
    }

    /// Takes every address of the range, each once, and not one more.
    fn fill(&self, network: &Network) -> Result<BTreeMap<Ipv4Addr, Attachment>> {
        let host_local = Caller::of_host_local(network, self.console);
        let name = |number: usize| format!("new{}-{number}", self.task.boot);
        let range: BTreeSet<Ipv4Addr> = network.range().collect();
        let mut given = BTreeMap::new();
        for number in 0..range.len() {
            let attachment = host_local.attachment(&name(number), "eth0");
            let (address, _) = host_local.add(&attachment, Path::new(GONE));
            let before = given.insert(address, attachment);
            ensure!(before.is_none(), "{address} was given twice");
        }
        ensure!(
            given.keys().eq(&range),
            "these addresses were given instead of the whole range: {given:?}"
        );
        let too_many = host_local.attachment(&name(range.len()), "eth0");
        let outcome = host_local
            .call("ADD", &too_many, Path::new(GONE), None)
            .run();
        assert_eq!(outcome.failure().code, ALL_TAKEN, "{outcome}");
        Ok(given)
    }

    fn delete_old(&self, network: &Network) {
        let flannel = Caller::of_flannel(network, self.console);
        for Event {
            attachment,
            progress,
        } in self.old_of(network)
        {
            // Some runtimes remember what ADD's result was.
            let result = match progress {
                Progress::Added(address) if address.octets()[3] % 2 == 0 => {
                    Some(network.result(Some(*address)))
                }
                _ => None,
            };
            flannel.del(attachment, Path::new(GONE), result.as_ref());
        }
    }

    fn delete(&self, network: &Network, given: &BTreeMap<Ipv4Addr, Attachment>) {
        let host_local = Caller::of_host_local(network, self.console);
        for attachment in given.values() {
            host_local.del(attachment, Path::new(GONE), None);
        }
    }

    /// A file that a DEL does not find must not be there either.
    fn no_file_names_old(&self, network: &Network) -> Result<()> {
        let old: BTreeSet<&str> = self
            .old_of(network)
            .map(|event| event.attachment.container.as_str())
            .collect();
        // One that was about to get its name is nobody's, and the next writer replaces it.
        let has_name = |file: &PathBuf| file.file_name().is_some_and(|name| name != ".new");
        for file in files(Path::new(STATE))?.into_iter().filter(has_name) {
            // The database is no text, and has room for what is not there any more.
            let text = fs::read(&file).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let owner = text.lines().next().unwrap_or_default();
            ensure!(
                !old.contains(owner),
                "after DEL of all old containers, {} is {owner}'s",
                file.display()
            );
        }
        Ok(())
    }

    /// A container is attached with all plugins, by two interfaces; half-written files of a cut are
    /// replaced.
    fn come_and_go(&self, network: &Network) -> Result<()> {
        let flannel = Caller::of_flannel(network, self.console);
        let netns = NetNs::new()?;
        let container = format!("guest{}", self.task.boot);
        let attached = INTERFACES.map(|ifname| {
            let attachment = flannel.attachment(&container, ifname);
            let (_, result) = flannel.add(&attachment, &netns.path());
            (attachment, result)
        });
        for (attachment, result) in &attached {
            let check = flannel.call("CHECK", attachment, &netns.path(), Some(result));
            check.run().silent();
            flannel.del(attachment, &netns.path(), Some(result));
        }
        Ok(())
    }

    fn nothing_is_left(&self) -> Result<()> {
        let state = Path::new(STATE);
        let left = files(state)?;
        let left: BTreeSet<&str> = left
            .iter()
            .filter_map(|path| path.strip_prefix(state).ok()?.to_str())
            .filter(|path| !path.starts_with(OF_THE_FILE_SYSTEM))
            .collect();
        let expected = self.networks.iter().flat_map(Network::files).copied();
        let expected: BTreeSet<&str> = expected.collect();
        ensure!(
            left == expected,
            "these files are in {STATE}: {left:?}, instead of {expected:?}"
        );
        Ok(())
    }
}

/// All that are no directories.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(self::files(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}
