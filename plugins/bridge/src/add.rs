//! ADD: the bridge and the pair of links are made while the IPAM plugin starts; then the container gets the addresses that
//! the plugin gives, and the node those of their gateways.

use std::path::Path;
use std::time::Duration;

use cni_plugin::{Call, Command};
use cni_types::{AddResult, Attachment, Error, Interface};
use container_link::{ContainerLink, Ipam, IpamCall, Sandbox, configure};
use ipnetwork::IpNetwork;
use netlink::{Change, Link, LinkChange, Mac, Rtnetlink};

use crate::config::Config;
use crate::error::BridgeError;
use crate::pair::FarEnd;
use crate::undo::{Changes, Ports, put_back};
use crate::{bridge_link, gateway, layer3, pair, port, rules, vlan_gateway};

/// How long a port may take to come up. It does so at once, unless the node is overloaded.
const PORT_PATIENCE: Duration = Duration::from_secs(5);

/// How often a bridge is looked for that others remove again.
const ATTEMPTS: usize = 4;

pub(crate) fn add(call: &Call<'_>, attachment: &Attachment, netns: &Path) -> Result<String, Error> {
    let config = Config::of(call)?;
    let ipam = match &config.ipam {
        Some(plugin_type) => Some(Ipam::find(call, plugin_type.clone())?),
        None => {
            // Versions whose results need an address are refused before anything is made.
            AddResult::default().encode(call.conf.version)?;
            None
        }
    };
    let (sandbox, inside) = Sandbox::open(netns)?;
    let started = ipam.as_ref().map(|ipam| ipam.start(Command::Add));
    let started = started.transpose()?;
    let kernel = Rtnetlink::open().map_err(BridgeError::from)?;
    let ports = Ports::default();
    let attempt = Attempt {
        call,
        attachment,
        config,
        sandbox: &sandbox,
        inside,
        changes: Changes::new(kernel, &ports, call.log),
    };
    attempt.run(started)
}

/// An ADD. Dropped, it is undone.
struct Attempt<'a> {
    call: &'a Call<'a>,
    attachment: &'a Attachment,
    config: Config,
    sandbox: &'a Sandbox,
    /// The container's network.
    inside: Rtnetlink,
    changes: Changes<'a>,
}

impl<'a> Attempt<'a> {
    fn run(mut self, ipam: Option<IpamCall<'a>>) -> Result<String, Error> {
        let mac = self.config.mac.unwrap_or_else(Mac::random);
        let (bridge, port) = self.plug_in(mac)?;
        port::set_up(&mut self.changes, &self.config, &bridge, &port)?;
        if self.config.holds_to_mac {
            self.hold_to_mac(&port, mac)?;
        }
        let link = ContainerLink {
            index: port.parent.map_or(0, |end| end.index),
            name: self.attachment.ifname.as_str(),
            mtu: port.mtu,
            mac: Some(mac),
        };
        let (mut result, vlan_gateway) = match ipam {
            Some(ipam) => self.give_addresses(ipam, &bridge, link)?,
            None => {
                if self.config.sets_container_up {
                    let up = Change::change_link(link.index, &LinkChange::up(true));
                    self.inside.perform(&[up]).map_err(BridgeError::from)?;
                }
                (AddResult::default(), None)
            }
        };
        let port = self.wait_for_port(&bridge, port)?;

        if !self.config.dns.is_empty() {
            result.dns = std::mem::take(&mut self.config.dns);
        }
        result.interfaces = vec![
            interface(&bridge),
            interface(&port),
            Interface {
                name: self.attachment.ifname.to_string(),
                mac: Some(mac.to_string()),
                sandbox: Some(self.sandbox.netns().path().display().to_string()),
                ..Interface::default()
            },
        ];
        result
            .interfaces
            .extend(vlan_gateway.as_ref().map(interface));
        let json = result.encode(self.call.conf.version)?;
        self.changes.undo.commit();
        Ok(json)
    }

    /// Finds or makes the bridge, and makes a pair of links between it and the container. Returns the bridge and the port.
    fn plug_in(&mut self, mac: Mac) -> Result<(Link, Link), BridgeError> {
        let end = FarEnd {
            name: &self.attachment.ifname,
            netns: self.sandbox.netns(),
            mac,
            mtu: self.config.mtu,
        };
        for _ in 0..ATTEMPTS {
            let bridge = bridge_link::find_or_make(&mut self.changes, &self.config)?;
            match pair::make(&mut self.changes, &bridge, end, &mut self.inside) {
                Ok(port) => {
                    let index = port.index;
                    self.changes.ports.add_own(index);
                    self.changes.undo.push("remove the pair of links", move || {
                        Ok(put_back(&[Change::delete_link(index)])?)
                    });
                    self.call
                        .log
                        .debug(format_args!("{} plugged into {}", port.name, bridge.name));
                    return Ok((bridge, port));
                }
                Err(error) => {
                    // Another ADD that had made the bridge may have failed, and removed it.
                    if self.changes.kernel.link_by_index(bridge.index)?.is_some() {
                        return Err(error);
                    }
                }
            }
        }
        Err(BridgeError::Unsteady(self.config.bridge.clone()))
    }

    /// Gives the container the addresses that IPAM gives, and the node those of their gateways. Returns the result, without
    /// interfaces, and the link in the containers' VLAN, if it is that which has the gateways' addresses.
    fn give_addresses(
        &mut self,
        ipam: IpamCall<'a>,
        bridge: &Link,
        link: ContainerLink<'_>,
    ) -> Result<(AddResult, Option<Link>), Error> {
        // Until now the container had no such interface. Asked any earlier, IPAM would hear of an ADD too many, and nobody
        // could tell what to undo there.
        let undo = &mut self.changes.undo;
        let mut result = ipam.ask_for_addresses(undo)?;
        self.call.log.debug(format_args!("ipam has answered"));
        layer3::complete(&mut result, &self.config);
        let detection = self.config.duplicate_detection;
        configure(
            self.sandbox,
            &mut self.inside,
            link,
            &result,
            detection,
            undo,
        )?;
        self.call.log.debug(format_args!("container's link set up"));
        let vlan_gateway = if self.config.is_gateway {
            self.provide_gateways(bridge, &result)?
        } else {
            None
        };
        if self.config.masquerading.is_wanted {
            self.masquerade(&result)?;
        }
        Ok((result, vlan_gateway))
    }

    /// Gives the gateways' addresses to the bridge, or to the link in the containers' VLAN, which is returned.
    fn provide_gateways(
        &mut self,
        bridge: &Link,
        result: &AddResult,
    ) -> Result<Option<Link>, BridgeError> {
        let (changes, config) = (&mut self.changes, &self.config);
        let wanted = layer3::gateways(&result.ips);
        let Some(name) = &config.vlan_gateway else {
            gateway::provide(changes, config, bridge, &wanted)?;
            return Ok(None);
        };
        let home = self.sandbox.home();
        let link = vlan_gateway::find_or_make(changes, config, bridge, name, home)?;
        gateway::provide(changes, config, &link, &wanted)?;
        Ok(Some(link))
    }

    fn hold_to_mac(&mut self, port: &Link, mac: Mac) -> Result<(), Error> {
        let (call, attachment) = (self.call, self.attachment);
        self.note_rules();
        Ok(rules::allow_only_mac(
            &call.conf.name,
            attachment,
            &port.name,
            mac,
        )?)
    }

    /// Notes how to undo rules that are about to be made.
    fn note_rules(&mut self) {
        let (call, attachment) = (self.call, self.attachment);
        let undo = &mut self.changes.undo;
        undo.push("remove the rules", || rules::remove(call, attachment));
    }

    fn masquerade(&mut self, result: &AddResult) -> Result<(), Error> {
        let (call, attachment) = (self.call, self.attachment);
        let addresses: Vec<IpNetwork> = result.ips.iter().map(|ip| ip.address).collect();
        let backend = self.config.masquerading.backend.unwrap_or_default();
        self.note_rules();
        Ok(rules::masquerade(
            backend,
            &call.conf.name,
            attachment,
            &addresses,
        )?)
    }

    /// Waits until the port passes frames on, which it does as soon as the container's end is set up.
    fn wait_for_port(&mut self, bridge: &Link, port: Link) -> Result<Link, BridgeError> {
        if !self.config.sets_container_up {
            return Ok(port);
        }
        let kernel = &mut self.changes.kernel;
        let port = kernel.wait_for_link(port.index, PORT_PATIENCE, "up", Link::is_operational)?;
        // Another ADD that had made the bridge may have failed, and removed it just when the port was plugged in.
        if port.master != Some(bridge.index) {
            return Err(BridgeError::Unsteady(self.config.bridge.clone()));
        }
        Ok(port)
    }
}

fn interface(link: &Link) -> Interface {
    Interface {
        name: link.name.clone(),
        mac: link.mac.map(|mac| mac.to_string()),
        ..Interface::default()
    }
}
