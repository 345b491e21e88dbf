//! The links of an attachment, compared with the result of the ADD.

use cni_types::{Attachment, Error, Interface};
use netlink::{Kind, Link, Mac, Netns, Rtnetlink};

use super::of_link;
use crate::config::Config;
use crate::error::{BridgeError, Difference};

/// The three links of an attachment.
pub(super) struct Links {
    pub(super) bridge: Link,
    pub(super) port: Link,
    pub(super) container: Link,
}

impl Links {
    /// Finds the links, and that they are as they were.
    pub(super) fn find(
        config: &Config,
        interfaces: &[Interface],
        attachment: &Attachment,
        netns: &Netns,
        outside: &mut Rtnetlink,
        inside: &mut Rtnetlink,
    ) -> Result<Self, Error> {
        let sandbox = netns.path().to_string_lossy();
        let told = |name: &str, sandbox: Option<&str>| {
            let is_it = |interface: &&Interface| {
                interface.name == name
                    && interface.sandbox.as_deref().filter(|path| !path.is_empty()) == sandbox
            };
            interfaces.iter().find(is_it).ok_or_else(|| {
                let difference = match sandbox {
                    None => format!("has no {name} on the node"),
                    Some(path) => format!("has no {name} in {path}"),
                };
                Difference::new("prevResult.interfaces", difference)
            })
        };

        let (name, ifname) = (config.bridge.as_str(), attachment.ifname.as_str());
        let bridge = existing(outside, told(name, None)?)?;
        check_bridge(config, &bridge)?;
        let container = existing(inside, told(ifname, Some(&sandbox))?)?;
        if container.kind != Kind::Veth {
            return Err(of_link(ifname, "is no veth any more"));
        }
        if config.sets_container_up && !container.is_up {
            return Err(of_link(ifname, "is down"));
        }
        let port = port_of(&container, outside)?;
        check_mac(&port, told(&port.name, None)?)?;
        check_port(config, &port, &bridge)?;
        Ok(Self {
            bridge,
            port,
            container,
        })
    }
}

/// The link that an interface of the result is about, with the same MAC.
fn existing(kernel: &mut Rtnetlink, told: &Interface) -> Result<Link, Error> {
    let link = kernel.link_by_name(&told.name).map_err(BridgeError::from)?;
    let link = link.ok_or_else(|| of_link(&told.name, "does not exist any more"))?;
    check_mac(&link, told)?;
    Ok(link)
}

fn check_mac(link: &Link, told: &Interface) -> Result<(), Error> {
    let Some(told) = told.mac.as_deref().filter(|mac| !mac.is_empty()) else {
        return Ok(());
    };
    let mac = link.mac;
    if told.parse::<Mac>().ok() == mac {
        return Ok(());
    }
    let mac = mac.map_or("none".to_owned(), |mac| mac.to_string());
    Err(of_link(
        &link.name,
        format_args!("has another MAC than in prevResult: {mac}, not {told}"),
    ))
}

fn check_bridge(config: &Config, bridge: &Link) -> Result<(), Error> {
    let differs = |difference: &str| Err(of_link(&bridge.name, difference));
    if !matches!(bridge.kind, Kind::Bridge { .. }) {
        return differs("is no bridge any more");
    }
    if !bridge.is_up {
        return differs("is down");
    }
    match (bridge.is_promiscuous, config.is_promiscuous) {
        (true, false) => differs("is in promiscuous mode, but promiscMode is false"),
        (false, true) => differs("is not in promiscuous mode, but promiscMode is true"),
        _ => Ok(()),
    }
}

/// The container's other end.
fn port_of(container: &Link, outside: &mut Rtnetlink) -> Result<Link, Error> {
    let port = match container.parent {
        Some(parent) => outside.link_by_index(parent.index),
        None => Ok(None),
    };
    let is_its = |port: &Link| {
        let parent = port.parent.map(|parent| parent.index);
        port.kind == Kind::Veth && parent == Some(container.index)
    };
    let port = port.map_err(BridgeError::from)?.filter(is_its);
    port.ok_or_else(|| of_link(&container.name, "has no other end on the node any more"))
}

fn check_port(config: &Config, port: &Link, bridge: &Link) -> Result<(), Error> {
    let differs = |difference: &str| Err(of_link(&port.name, difference));
    if port.master != Some(bridge.index) {
        return Err(of_link(
            &port.name,
            format_args!("is no port of bridge {} any more", bridge.name),
        ));
    }
    if !port.is_up {
        return differs("is down");
    }
    let Some(settings) = port.port else {
        return Ok(());
    };
    if settings.hairpin != config.hairpin {
        return differs("has another hairpin mode than hairpinMode says");
    }
    if settings.isolated != config.is_isolated {
        return differs("is isolated otherwise than portIsolation says");
    }
    Ok(())
}
