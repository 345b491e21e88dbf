//! The container's end of the pair: settings, addresses and routes.

use std::time::Duration;

use cni_plugin::Log;
use cni_types::{AddResult, IfName};
use netlink::sysctl::{self, SysctlError};
use netlink::{Change, Existing, LinkChange, Rtnetlink};

use crate::config::Config;
use crate::error::BridgeError;
use crate::layer3;
use crate::sandbox::Sandbox;

/// How long to wait until others have had the time to say that they have an address (RFC 4862): the kernel asks once and
/// waits for a second, after up to a second's delay.
const DETECTION_PATIENCE: Duration = Duration::from_secs(5);

/// The least MTU of a link with IPv6 (RFC 8200, "Packet size issues").
const LEAST_IPV6_MTU: u32 = 1280;

/// The container's end, in its namespace.
#[derive(Debug)]
pub(crate) struct ContainerLink<'a> {
    pub(crate) kernel: &'a mut Rtnetlink,
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) name: &'a IfName,
    pub(crate) index: u32,
    pub(crate) log: &'a Log,
}

impl ContainerLink<'_> {
    /// Sets up the link without an address.
    pub(crate) fn set_up(&mut self) -> Result<(), BridgeError> {
        Ok(self.kernel.perform(&[self.up()])?)
    }

    /// Changes the settings that must be as they are when the link comes up.
    pub(crate) fn prepare(&self, config: &Config) -> Result<(), BridgeError> {
        let name = self.name.as_str();
        self.enter(|| {
            if config.detects_duplicates {
                self.prefer(&["ipv6", "conf", name, "enhanced_dad"], "1");
                self.prefer(&["ipv6", "conf", name, "accept_dad"], "1");
            } else {
                self.prefer(&["ipv6", "conf", name, "accept_dad"], "0");
            }
            // Neighbours may remember the address with another MAC.
            self.prefer(&["ipv4", "conf", name, "arp_notify"], "1");
            Ok(())
        })
    }

    /// Gives the link its addresses, sets it up and adds the routes. The link's neighbours are told of its addresses as it
    /// comes up, so they come first.
    pub(crate) fn configure(
        &mut self,
        config: &Config,
        result: &AddResult,
    ) -> Result<(), BridgeError> {
        let ipv6 = result.ips.iter().find(|ip| ip.address.is_ipv6());
        if let Some(ip) = ipv6 {
            if let Some(mtu) = config.mtu.filter(|mtu| *mtu < LEAST_IPV6_MTU) {
                let address = ip.address;
                return Err(BridgeError::MtuForIpv6 { mtu, address });
            }
            self.enter(|| self.enable_ipv6())?;
        }

        let addresses = result
            .ips
            .iter()
            .map(|ip| Change::add_address(self.index, ip.address, config.detects_duplicates));
        let routes = layer3::routes(result, self.index);
        let routes = routes.iter();
        let routes = routes.map(|route| Change::add_route(route, Existing::Join));
        let mut changes: Vec<Change<'_>> = addresses.collect();
        changes.push(self.up());
        let before_routes = changes.len();
        changes.extend(routes);
        let refusals = self.kernel.perform_each(&changes)?;
        if let Some((position, error)) = refusals.into_iter().next() {
            return Err(if position < before_routes {
                error.into()
            } else {
                BridgeError::of_route(error)
            });
        }
        if config.detects_duplicates && ipv6.is_some() {
            self.log.debug(format_args!("waiting for duplicates"));
            self.kernel
                .wait_for_addresses(self.index, DETECTION_PATIENCE)?;
        }
        Ok(())
    }

    /// Runs a closure in the container's namespace.
    fn enter(&self, inside: impl FnOnce() -> Result<(), BridgeError>) -> Result<(), BridgeError> {
        self.sandbox.netns.enter(&self.sandbox.home, inside)
    }

    fn up(&self) -> Change<'static> {
        let up = LinkChange {
            is_up: Some(true),
            ..LinkChange::default()
        };
        Change::change_link(self.index, &up)
    }

    /// Runtimes switch IPv6 off in containers that have no network with it yet.
    fn enable_ipv6(&self) -> Result<(), BridgeError> {
        const OFF: &str = "1";
        let name = self.name.as_str();
        let disable = |link| ["ipv6", "conf", link, "disable_ipv6"];
        match sysctl::read(&disable(name)) {
            Ok(value) if value == OFF => {
                sysctl::write(&disable("lo"), "0")?;
                sysctl::write(&disable(name), "0")?;
            }
            Ok(_) => {}
            Err(error @ SysctlError::NoIpv6(_)) => return Err(error.into()),
            Err(error) => self.log.info(format_args!("{error}")),
        }
        // Else the address would be lost when the link is set down for a moment.
        self.prefer(&["ipv6", "conf", name, "keep_addr_on_down"], "1");
        Ok(())
    }

    /// Changes a setting that the container can do without, on a kernel without IPv6 for example.
    fn prefer(&self, setting: &[&str], value: &str) {
        match sysctl::write(setting, value) {
            Ok(()) => {}
            Err(SysctlError::NoIpv6(_)) => {}
            Err(error) => self.log.info(format_args!("{error}")),
        }
    }
}
