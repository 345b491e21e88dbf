//! CHECK: is all still as ADD left it? What others have added does not matter.

mod links;

use std::path::Path;

use cni_plugin::{Call, Command};
use cni_types::{AddResult, Attachment, Error};
use ipnetwork::IpNetwork;
use netlink::{Family, Link, Netns, Route, Rtnetlink};

use self::links::Links;
use crate::config::{self, Config};
use crate::error::{BridgeError, Difference};
use crate::ipam::Ipam;
use crate::sandbox::Sandbox;
use crate::{layer3, port};

pub(crate) fn check(call: &Call<'_>, attachment: &Attachment, netns: &Path) -> Result<(), Error> {
    let config = Config::of(call)?;
    let previous = config::previous_result(call)?;
    let ipam = Ipam::of(call)?;
    let sandbox = Sandbox::open(netns).map_err(BridgeError::from)?;
    // It starts while the links are looked at, and does nothing before it is given its configuration.
    let ipam = match &ipam {
        Some(ipam) => Some((ipam, ipam.start(Command::Check).map_err(BridgeError::from)?)),
        None => None,
    };
    let mut examination = Examination {
        config: &config,
        previous: &previous,
        outside: Rtnetlink::open().map_err(BridgeError::from)?,
        inside: sandbox.network().map_err(BridgeError::from)?,
    };
    let links = examination.links(attachment, &sandbox.netns)?;
    call.log.debug(format_args!("the links are as they were"));
    examination.vlans(&links.port)?;
    examination.addresses(&links.container)?;
    examination.routes(&links.container)?;
    examination.gateways(&links.bridge)?;
    if let Some((ipam, started)) = ipam {
        ipam.run(started).map_err(BridgeError::from)?;
    }
    Ok(())
}

/// What is looked at, and what it should be.
struct Examination<'a> {
    config: &'a Config,
    /// The result of the ADD.
    previous: &'a AddResult,
    outside: Rtnetlink,
    inside: Rtnetlink,
}

impl Examination<'_> {
    fn links(&mut self, attachment: &Attachment, netns: &Netns) -> Result<Links, Error> {
        Links::find(
            self.config,
            &self.previous.interfaces,
            attachment,
            netns,
            &mut self.outside,
            &mut self.inside,
        )
    }

    fn vlans(&mut self, port: &Link) -> Result<(), Error> {
        let Some(vlans) = self.config.vlans.as_ref().filter(|vlans| vlans.is_any()) else {
            return Ok(());
        };
        let existing = self.outside.vlans(port.index).map_err(BridgeError::from)?;
        for wanted in port::members(vlans) {
            for id in wanted.ids.clone() {
                let is_there = existing.iter().any(|vlan| {
                    vlan.ids.contains(&id)
                        && vlan.is_pvid == wanted.is_pvid
                        && vlan.is_untagged == wanted.is_untagged
                });
                if !is_there {
                    let difference = format!("is not in VLAN {id} as it was");
                    return Err(of_link(&port.name, difference));
                }
            }
        }
        Ok(())
    }

    fn addresses(&mut self, link: &Link) -> Result<(), Error> {
        let existing = self
            .inside
            .addresses(link.index, None)
            .map_err(BridgeError::from)?;
        for ip in &self.previous.ips {
            let address = ip.address;
            let found = existing.iter().find(|other| other.network == address);
            let difference = match found {
                None => format!("has lost its address {address}"),
                Some(found) if found.is_duplicate => {
                    format!("may not use its address {address}: another machine has it")
                }
                Some(_) => continue,
            };
            return Err(of_link(&link.name, difference));
        }
        Ok(())
    }

    fn routes(&mut self, link: &Link) -> Result<(), Error> {
        let wanted = layer3::routes(self.previous, link.index);
        let mut looked_up: Vec<(Family, u32)> = Vec::new();
        let mut existing: Vec<Route> = Vec::new();
        for route in &wanted {
            let table = (Family::of(route.destination.ip()), route.table);
            if !looked_up.contains(&table) {
                let routes = self.inside.routes(table.0, table.1, Some(link.index));
                existing.extend(routes.map_err(BridgeError::from)?);
                looked_up.push(table);
            }
        }
        for route in wanted {
            if existing.iter().any(|other| is_same(&route, other)) {
                continue;
            }
            let destination = route.destination;
            let difference = match route.gateway {
                Some(gateway) => format!("has lost its route to {destination} via {gateway}"),
                None => format!("has lost its route to {destination}"),
            };
            return Err(of_link(&link.name, difference));
        }
        Ok(())
    }

    fn gateways(&mut self, bridge: &Link) -> Result<(), Error> {
        if !self.config.is_gateway {
            return Ok(());
        }
        let link = match &self.config.vlan_gateway {
            None => bridge.clone(),
            Some(name) => {
                let link = self.outside.link_by_name(name.as_str());
                let link = link.map_err(BridgeError::from)?;
                link.ok_or_else(|| of_link(name.as_str(), "does not exist any more"))?
            }
        };
        let existing = self
            .outside
            .addresses(link.index, None)
            .map_err(BridgeError::from)?;
        for gateway in layer3::gateways(&self.previous.ips) {
            if !existing.iter().any(|address| address.network == gateway) {
                let difference = format!("has lost the gateway's address {gateway}");
                return Err(of_link(&link.name, difference));
            }
        }
        Ok(())
    }
}

fn of_link(name: &str, difference: impl std::fmt::Display) -> Error {
    Difference::new(format_args!("link {name}"), difference).into()
}

/// Whether a route in the kernel is the one that is wanted; what is not asked for does not matter.
fn is_same(wanted: &Route, existing: &Route) -> bool {
    let network = |route: &Route| -> (std::net::IpAddr, u8) {
        let destination: IpNetwork = route.destination;
        (destination.network(), destination.prefix())
    };
    network(wanted) == network(existing)
        && wanted.table == existing.table
        && wanted.gateway == existing.gateway
        && (wanted.priority.is_none() || wanted.priority == existing.priority)
}
