//! Calls of plugins, reported before and after.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use testkit::Invocation;

use super::console::Console;
use super::network::Network;
use crate::event::{Attachment, Progress};

/// An emulated machine takes its time.
const LIMIT: Duration = Duration::from_secs(120);

/// A plugin of a network with its configuration.
pub(super) struct Caller<'a> {
    network: &'a Network,
    plugin: &'static str,
    config: Value,
    console: &'a Console,
}

impl<'a> Caller<'a> {
    /// Attaches containers with all plugins.
    pub(super) fn of_flannel(network: &'a Network, console: &'a Console) -> Self {
        Self {
            network,
            plugin: "flannel",
            config: network.flannel(),
            console,
        }
    }

    /// Gives addresses only.
    pub(super) fn of_host_local(network: &'a Network, console: &'a Console) -> Self {
        Self {
            network,
            plugin: "host-local",
            config: network.host_local(),
            console,
        }
    }

    /// An attachment of a container that is in no other network.
    pub(super) fn attachment(&self, container: &str, ifname: &str) -> Attachment {
        let network = self.network.backend;
        Attachment {
            network,
            container: format!("{}-{container}", network.name()),
            ifname: ifname.to_owned(),
        }
    }

    /// A call that is not reported.
    pub(super) fn call(
        &self,
        command: &str,
        attachment: &Attachment,
        netns: &Path,
        result: Option<&Value>,
    ) -> Invocation {
        let mut config = self.config.clone();
        if let (Some(config), Some(result)) = (config.as_object_mut(), result) {
            config.insert("prevResult".to_owned(), result.clone());
        }
        Invocation::attach(
            self.network.plugin(self.plugin),
            command,
            &attachment.container,
        )
        .ifname(&attachment.ifname)
        .netns(netns)
        .config(&config)
        .limit(LIMIT)
    }

    /// A call about no attachment in particular.
    pub(super) fn status(&self) -> Invocation {
        let plugin = self.network.plugin(self.plugin);
        let dir = plugin.parent().unwrap_or(Path::new("/")).to_owned();
        Invocation::new(plugin, "STATUS")
            .path(dir)
            .config(&self.config)
            .limit(LIMIT)
    }

    /// ADD; the address and the whole result.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub(super) fn add(&self, attachment: &Attachment, netns: &Path) -> (Ipv4Addr, Value) {
        self.console.event(attachment, Progress::Adds);
        let outcome = self.call("ADD", attachment, netns, None).run();
        let result = outcome.success();
        let address = result.pointer("/ips/0/address").and_then(Value::as_str);
        let address = address.and_then(|text| text.strip_suffix("/27")?.parse().ok());
        let Some(address) = address else {
            panic!("expected an address of the network\n{outcome}");
        };
        self.console.event(attachment, Progress::Added(address));
        (address, result)
    }

    /// DEL.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub(super) fn del(&self, attachment: &Attachment, netns: &Path, result: Option<&Value>) {
        self.console.event(attachment, Progress::Deletes);
        self.call("DEL", attachment, netns, result).run().silent();
        self.console.event(attachment, Progress::Deleted);
    }
}
