//! ADD: creates the bridge and the veth pair while the IPAM plugin starts; then the container gets
//! the addresses from the plugin, and the node those of their gateways.

use std::time::Duration;

use cni_plugin::{Call, Command, ContainerNetns};
use cni_types::{AddResult, Attachment, Error, Interface, Version};
use container_link::{
    ContainerLink, DuplicateDetection, InContainer, Ipam, IpamCall, LinkAlias, Sandbox, Undone,
    announcement, configure, wait_for_ipv6,
};
use ipnetwork::IpNetwork;
use netlink::{Change, Link, LinkChange, Mac, Rtnetlink, Veth};

use crate::changes::Changes;
use crate::config::Config;
use crate::error::BridgeError;
use crate::gateway::{Gateway, Replacement};
use crate::pair::FarEnd;
use crate::undo::{OnNode, Undo};
use crate::{bridge_link, detach, forwarding, layer3, pair, port, rules, vlan_gateway};

/// The timeout for a port to come up. It does so at once, unless the node is overloaded.
const PORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Attempts to find or create the bridge while other ADDs remove it.
const ATTEMPTS: usize = 4;

pub(crate) fn add(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: &ContainerNetns,
) -> Result<String, Error> {
    let config = Config::of(call)?;
    let ipam = match &config.ipam {
        Some(plugin_type) => Some(Ipam::find(call, plugin_type.clone())?),
        None => {
            // Versions whose results need an address are refused before anything is created.
            AddResult::default().encode(call.conf.version)?;
            None
        }
    };
    let sandbox_name = netns.sandbox()?;
    let (sandbox, inside) = Sandbox::open(netns)?;
    let started = ipam.as_ref().map(|ipam| ipam.start(Command::Add));
    let started = started.transpose()?;
    let kernel = Rtnetlink::open()?;
    let mut attempt = Attempt {
        call,
        attachment,
        config,
        sandbox: &sandbox,
        sandbox_name,
        inside,
        alias: LinkAlias::new(&call.conf.name, attachment),
        changes: Changes::new(kernel, call.log),
    };
    let outcome = attempt.run(started);
    if outcome.is_err() {
        attempt.roll_back(ipam.as_ref());
    }
    outcome
}

/// The outcome of IPAM and the gateways.
#[derive(Debug, Default)]
struct Addressed {
    /// The result without interfaces.
    result: AddResult,
    /// The link in the containers' VLAN, if it has the gateways' addresses.
    vlan_gateway: Option<Link>,
    replacement: Option<Replacement>,
}

/// The state of an ADD.
struct Attempt<'a> {
    call: &'a Call<'a>,
    attachment: &'a Attachment,
    config: Config,
    sandbox: &'a Sandbox,
    /// The container's namespace, for the result.
    sandbox_name: &'a str,
    /// The container's network.
    inside: Rtnetlink,
    /// The alias of the attachment's links.
    alias: LinkAlias,
    changes: Changes<'a>,
}

impl Attempt<'_> {
    fn run(&mut self, ipam: Option<IpamCall<'_>>) -> Result<String, Error> {
        let mac = self.config.mac.unwrap_or_else(Mac::random);
        let (bridge, Veth { port, peer }) = self.plug_in(mac)?;
        port::set_up(&mut self.changes, &self.config, &bridge, &port)?;
        let link = ContainerLink {
            index: peer.index,
            name: &peer.name,
            mtu: port.mtu,
            mac: Some(mac),
            // The node's end has one.
            alias: None,
            can_announce: false,
        };
        let addressed = match ipam {
            Some(ipam) => self.give_addresses(ipam, &bridge, &port, link)?,
            None => {
                self.hold_to_mac(&port, mac)?;
                if self.config.sets_container_up {
                    let up = Change::SetLink {
                        link: link.index,
                        change: LinkChange::up(true),
                    };
                    self.inside.apply(&[up])?;
                }
                Addressed::default()
            }
        };
        let port = self.wait_for_port(&bridge, port)?;
        let bridge = bridge_link::with_final_mac(&mut self.changes, &self.config, bridge)?;
        let mut result = addressed.result;

        result.dns = std::mem::take(&mut self.config.dns).or(result.dns);
        let version = self.call.conf.version;
        result.interfaces = vec![
            interface(&bridge, version),
            interface(&port, version),
            Interface {
                name: self.attachment.ifname.to_string(),
                mac: Some(mac.to_string()),
                mtu: mtu(&port, version),
                sandbox: Some(self.sandbox_name.to_owned()),
                ..Interface::default()
            },
        ];
        let vlan_gateway = addressed.vlan_gateway.as_ref();
        let vlan_gateway = vlan_gateway.map(|link| interface(link, version));
        result.interfaces.extend(vlan_gateway);
        let json = result.encode(version)?;
        // The following steps cannot be rolled back, so they come last.
        detach::remove_earlier(&mut self.changes.kernel, &self.alias, &port)?;
        if self.config.is_gateway {
            let gateway = addressed.vlan_gateway.as_ref().unwrap_or(&bridge);
            self.become_router(&result, gateway, addressed.replacement)?;
        }
        if !result.ips.is_empty() {
            self.announce(link.index, mac);
            // Where it is on, duplicate address detection has waited for the addresses already.
            if self.config.duplicate_detection == DuplicateDetection::Off {
                wait_for_ipv6(&mut self.inside, result.addresses(), self.call.log);
            }
        }
        Ok(json)
    }

    /// Finds or creates the bridge, and creates the veth pair between it and the container.
    fn plug_in(&mut self, mac: Mac) -> Result<(Link, Veth), BridgeError> {
        for _ in 0..ATTEMPTS {
            let bridge = bridge_link::find_or_make(&mut self.changes, &self.config)?;
            let end = FarEnd {
                name: &self.attachment.ifname,
                netns: self.sandbox.netns(),
                mac,
                // A port with a smaller MTU would lower the bridge's.
                mtu: self.config.mtu.or(Some(bridge.mtu)),
            };
            match pair::make_with_alias(
                &mut self.changes,
                &bridge,
                end,
                &mut self.inside,
                &self.alias,
            ) {
                Ok(pair) => {
                    let index = pair.port.index;
                    self.changes.ports.add_own(index);
                    self.changes
                        .rollback
                        .record(OnNode::RemovePair { port: index });
                    self.call.log.debug(format_args!(
                        "{} plugged into {}",
                        pair.port.name, bridge.name
                    ));
                    return Ok((bridge, pair));
                }
                Err(error) => {
                    // Another ADD that created the bridge may have failed and removed it.
                    if self.changes.kernel.link_by_index(bridge.index)?.is_some() {
                        return Err(error);
                    }
                }
            }
        }
        Err(BridgeError::Unsteady(self.config.bridge.to_string()))
    }

    /// Gives the container the addresses from IPAM, and the node those of their gateways.
    fn give_addresses(
        &mut self,
        ipam: IpamCall<'_>,
        bridge: &Link,
        port: &Link,
        link: ContainerLink<'_>,
    ) -> Result<Addressed, Error> {
        let vlan_gateway = self.vlan_gateway(bridge)?;
        let gateway = vlan_gateway.as_ref().unwrap_or(bridge).clone();
        let gateway = Gateway::look_at(&mut self.changes, self.call, &self.config, gateway)?;
        // IPAM is called only now, so that a repeated ADD fails earlier, without touching the
        // addresses of the first.
        let mut result = ipam.ask_for_addresses(&mut self.changes.rollback)?;
        self.call.log.debug(format_args!("ipam has answered"));
        layer3::complete(&mut result, &self.config)?;
        let given: Vec<IpNetwork> = result.addresses().collect();
        gateway.refuse_own(&given)?;
        // IPAM refuses a second ADD of the attachment, into another namespace: it must not replace
        // the rules of the first.
        if let Some(mac) = link.mac {
            self.hold_to_mac(port, mac)?;
        }
        let detection = self.config.duplicate_detection;
        configure(
            self.sandbox,
            &mut self.inside,
            link,
            &result,
            detection,
            self.call.log,
            &mut self.changes.rollback,
        )?;
        self.call.log.debug(format_args!("container's link set up"));
        let replacement = if self.config.is_gateway {
            let wanted = layer3::gateways(&result.ips);
            gateway.provide(&mut self.changes, self.call, &self.config, &wanted, &given)?
        } else {
            None
        };
        if self.config.masquerading.is_wanted {
            self.masquerade(&result)?;
        }
        Ok(Addressed {
            result,
            vlan_gateway,
            replacement,
        })
    }

    /// The link that gets the gateways' addresses in the containers' VLAN; `None` if that is the
    /// bridge.
    fn vlan_gateway(&mut self, bridge: &Link) -> Result<Option<Link>, BridgeError> {
        let (changes, config) = (&mut self.changes, &self.config);
        let vlan = config.vlans.as_ref().and_then(|vlans| vlans.access);
        let (Some(name), Some(vlan)) = (&config.vlan_gateway, vlan) else {
            return Ok(None);
        };
        let (wanted, home) = (vlan_gateway::Wanted { name, vlan }, self.sandbox.home());
        vlan_gateway::find_or_make(changes, config, bridge, wanted, home).map(Some)
    }

    /// Switches on forwarding for the result's protocols, and replaces the gateways' addresses of
    /// an earlier lease.
    fn become_router(
        &mut self,
        result: &AddResult,
        gateway: &Link,
        replacement: Option<Replacement>,
    ) -> Result<(), BridgeError> {
        let (kernel, log) = (&mut self.changes.kernel, self.call.log);
        for family in layer3::families(&result.ips) {
            forwarding::enable(kernel, family, gateway)?;
        }
        replacement.map_or(Ok(()), |replacement| replacement.carry_out(kernel, log))
    }

    /// Drops frames from the container with another source MAC, if `macspoofchk` is set. The
    /// container's link is still down.
    fn hold_to_mac(&mut self, port: &Link, mac: Mac) -> Result<(), Error> {
        if !self.config.holds_to_mac {
            return Ok(());
        }
        let (call, attachment) = (self.call, self.attachment);
        let rollback = &mut self.changes.rollback;
        rollback.record(Undo::RemoveRules {
            addresses: Vec::new(),
        });
        Ok(rules::allow_only_mac(
            &call.conf.name,
            attachment,
            &port.name,
            mac,
        )?)
    }

    fn masquerade(&mut self, result: &AddResult) -> Result<(), Error> {
        let (call, attachment) = (self.call, self.attachment);
        let addresses: Vec<IpNetwork> = result.addresses().collect();
        let backend = self.config.masquerading.backend.unwrap_or_default();
        let rollback = &mut self.changes.rollback;
        rollback.record(Undo::RemoveRules {
            addresses: addresses.clone(),
        });
        rules::masquerade(backend, &call.conf.name, attachment, &addresses)
    }

    /// Makes the container's end announce its addresses to the neighbours. The announcements when
    /// it was set up were lost, because the port did not forward yet.
    fn announce(&mut self, index: u32, mac: Mac) {
        if let Err(error) = self.inside.apply(&[announcement(index, mac)]) {
            self.call.log.error(format_args!(
                "neighbours may take a while to find the container: {error}"
            ));
        }
    }

    /// Waits until the port forwards, which it does as soon as the container's end is set up.
    fn wait_for_port(&mut self, bridge: &Link, port: Link) -> Result<Link, BridgeError> {
        if !self.config.sets_container_up {
            return Ok(port);
        }
        let kernel = &mut self.changes.kernel;
        let port = kernel.wait_for_link(port.index, PORT_TIMEOUT, "up", Link::is_operational)?;
        // Another ADD that created the bridge may have failed and removed it just after the port
        // was plugged in.
        if port.master != Some(bridge.index) {
            return Err(BridgeError::Unsteady(self.config.bridge.to_string()));
        }
        Ok(port)
    }

    /// Rolls back the steps, the last one first.
    fn roll_back(&mut self, ipam: Option<&Ipam<'_>>) {
        let rollback = std::mem::take(&mut self.changes.rollback);
        rollback.carry_out(self.call.log, |step| self.undo(step, ipam));
    }

    fn undo(&mut self, step: &Undo, ipam: Option<&Ipam<'_>>) -> Result<Undone, Error> {
        if step.is_shared() && self.changes.has_others()? {
            return Ok(Undone::Needed);
        }
        match step {
            Undo::InContainer(step) => {
                let mut container = InContainer {
                    sandbox: self.sandbox,
                    inside: &mut self.inside,
                    ipam,
                };
                container.carry_out(step)?;
            }
            Undo::RemoveRules { addresses } => {
                rules::remove(self.call, self.attachment, Some(addresses))?;
            }
            Undo::OnNode(step) => step.carry_out(&mut self.changes.kernel)?,
        }
        Ok(Undone::Yes)
    }
}

/// The MTU of a link, if the version of the result has the key. Both ends of a pair have the same.
fn mtu(link: &Link, version: Version) -> Option<u32> {
    (version >= Version::V1_1_0).then_some(link.mtu)
}

fn interface(link: &Link, version: Version) -> Interface {
    Interface {
        name: link.name.clone(),
        mac: link.mac.map(|mac| mac.to_string()),
        mtu: mtu(link, version),
        ..Interface::default()
    }
}
