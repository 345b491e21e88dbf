//! CHECK: compares links, addresses, routes and rules with the result of the ADD. Additions by
//! others are ignored.

mod links;
mod node;

use cni_plugin::{Call, Command, ContainerNetns};
use cni_types::{AddResult, Attachment, Error};
use container_link::{CheckError, Ipam, Sandbox, check};
use netlink::{Link, Rtnetlink};

use self::links::Links;
use crate::config::Config;
use crate::{layer3, port};

pub(crate) fn check(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: &ContainerNetns,
) -> Result<(), Error> {
    let config = Config::of(call)?;
    let previous = call.conf.required_prev_result()?;
    let ipam = match &config.ipam {
        Some(plugin_type) => Some(Ipam::find(call, plugin_type.clone())?),
        None => None,
    };
    let (_, mut inside) = Sandbox::open(netns)?;
    // It starts while the links are checked, and waits for its configuration on standard input.
    let started = ipam.as_ref().map(|ipam| ipam.start(Command::Check));
    let started = started.transpose()?;
    let mut outside = Rtnetlink::open()?;

    let ifname = attachment.ifname.as_str();
    let (position, interface) = check::interface_of(&previous, ifname, Some(netns.path()))?;
    let container = check::link(&mut inside, interface)?;
    let links = Links::find(&config, &previous, container, &mut outside)?;
    call.log.debug(format_args!("the links are as they were"));
    vlans(&config, &links.port, &mut outside)?;
    check::addresses_and_routes(&mut inside, &links.container, &previous, position)?;
    gateways(&config, &links.bridge, &previous, &mut outside)?;
    node::forwarding(&config, &links, &previous)?;
    node::packet_filter(call, attachment, &config, &links, (&previous, position))?;
    if let Some(started) = started {
        started.run()?;
    }
    Ok(())
}

fn vlans(config: &Config, port: &Link, outside: &mut Rtnetlink) -> Result<(), Error> {
    let Some(vlans) = config.vlans.as_ref().filter(|vlans| vlans.is_any()) else {
        return Ok(());
    };
    let existing = outside.vlans(port.index)?;
    for wanted in port::members(vlans) {
        let is_in = |id: &u16| {
            existing.iter().any(|vlan| {
                vlan.ids.contains(id)
                    && vlan.is_pvid == wanted.is_pvid
                    && vlan.is_untagged == wanted.is_untagged
            })
        };
        if let Some(id) = wanted.ids.clone().find(|id| !is_in(id)) {
            let ifname = port.name.clone();
            return Err(CheckError::Vlan { ifname, id }.into());
        }
    }
    Ok(())
}

/// The gateways' addresses on the node.
fn gateways(
    config: &Config,
    bridge: &Link,
    previous: &AddResult,
    outside: &mut Rtnetlink,
) -> Result<(), Error> {
    if !config.is_gateway {
        return Ok(());
    }
    let link = match &config.vlan_gateway {
        None => bridge.clone(),
        Some(name) => {
            let link = outside.link_by_name(name.as_str());
            link?.ok_or_else(|| CheckError::Gone {
                ifname: name.to_string(),
                netns: None,
            })?
        }
    };
    let existing = outside.addresses(link.index, None)?;
    for address in layer3::gateways(&previous.ips) {
        if !existing.iter().any(|found| found.network == address) {
            let ifname = link.name;
            return Err(CheckError::Address { ifname, address }.into());
        }
    }
    Ok(())
}
