//! The links of an attachment, compared with the result of the ADD.

use cni_types::{AddResult, Error, Interface};
use container_link::{CheckError, check};
use netlink::{Kind, Link, Rtnetlink};

use crate::config::Config;
use crate::error::BridgeError;

/// The three links of an attachment.
pub(super) struct Links {
    pub(super) bridge: Link,
    pub(super) port: Link,
    pub(super) container: Link,
}

impl Links {
    /// Finds the container's links on the node, and that all of them are as they were.
    pub(super) fn find(
        config: &Config,
        previous: &AddResult,
        container: Link,
        outside: &mut Rtnetlink,
    ) -> Result<Self, Error> {
        let (_, told) = check::interface_of(previous, config.bridge.as_str(), None)?;
        let is_fixed = config.gives_bridge_addresses();
        let told = Interface {
            // That of a bridge that is no gateway may follow its ports'.
            mac: told.mac.clone().filter(|_| is_fixed),
            ..told.clone()
        };
        let bridge = check::link(outside, &told)?;
        check_bridge(config, &bridge)?;
        if container.kind != Kind::Veth {
            let kind = container.kind.name();
            return Err(CheckError::differs("kind", &container, kind, "veth").into());
        }
        if config.sets_container_up {
            check::up(&container)?;
        }
        let port = port_of(&container, outside)?;
        let (_, told) = check::interface_of(previous, &port.name, None)?;
        check::mac(&port, told)?;
        check_port(config, &port, &bridge)?;
        Ok(Self {
            bridge,
            port,
            container,
        })
    }
}

fn check_bridge(config: &Config, bridge: &Link) -> Result<(), CheckError> {
    if !matches!(bridge.kind, Kind::Bridge { .. }) {
        let kind = bridge.kind.name();
        return Err(CheckError::differs("kind", bridge, kind, "bridge"));
    }
    check::up(bridge)?;
    setting(
        "promiscMode",
        bridge,
        bridge.is_promiscuous,
        config.is_promiscuous,
    )
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
    Ok(port
        .ok_or_else(|| CheckError::differs("other end", container, "elsewhere", "on the node"))?)
}

fn check_port(config: &Config, port: &Link, bridge: &Link) -> Result<(), CheckError> {
    if port.master != Some(bridge.index) {
        let index = |index: u32| format!("link {index}");
        let found = port.master.map_or("nothing".to_owned(), index);
        let expected = format_args!("{}, {}", bridge.name, index(bridge.index));
        return Err(CheckError::differs("master", port, found, expected));
    }
    check::up(port)?;
    let Some(settings) = port.port else {
        return Ok(());
    };
    setting("hairpinMode", port, settings.hairpin, config.hairpin)?;
    setting("portIsolation", port, settings.isolated, config.is_isolated)
}

/// Compares what a key of the configuration sets.
fn setting(key: &'static str, link: &Link, found: bool, expected: bool) -> Result<(), CheckError> {
    if found == expected {
        return Ok(());
    }
    Err(CheckError::differs(key, link, found, expected))
}
