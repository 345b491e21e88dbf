//! The links of an attachment, compared with the result of the ADD.

use cni_types::{AddResult, Error};
use container_link::{CheckError, check};
use netlink::{Link, LinkKind, Rtnetlink};

use crate::config::Config;

/// The three links of an attachment.
pub(super) struct Links {
    pub(super) bridge: Link,
    pub(super) port: Link,
    pub(super) container: Link,
}

impl Links {
    /// Finds the attachment's links, and checks that they match the result.
    pub(super) fn find(
        config: &Config,
        previous: &AddResult,
        container: Link,
        outside: &mut Rtnetlink,
    ) -> Result<Self, Error> {
        let bridge = find_bridge(config, outside)?;
        let of_node = OfNode::of(previous);
        // The MAC of a bridge that is not a gateway may follow its ports'.
        of_node.check(&bridge, config.gives_bridge_addresses())?;
        check_bridge(config, &bridge)?;
        if container.kind != LinkKind::Veth {
            let kind = container.kind.name();
            return Err(CheckError::differs("kind", &container, kind, "veth").into());
        }
        if config.sets_container_up {
            check::up(&container)?;
        }
        let port = port_of(&container, outside)?;
        of_node.check(&port, true)?;
        check_port(config, &port, &bridge, outside)?;
        Ok(Self {
            bridge,
            port,
            container,
        })
    }
}

/// The links on the node in a result. `None` if it has only the container's: results before version
/// 0.3.0 have no interfaces, and a meta plugin that completes such a result adds only the
/// container's.
struct OfNode<'a>(Option<&'a AddResult>);

impl<'a> OfNode<'a> {
    fn of(previous: &'a AddResult) -> Self {
        let interfaces = &previous.interfaces;
        let is_any = interfaces.is_empty()
            || interfaces
                .iter()
                .any(|interface| interface.sandbox.is_none());
        Self(is_any.then_some(previous))
    }

    fn check(&self, link: &Link, has_own_mac: bool) -> Result<(), CheckError> {
        let Some(previous) = self.0 else {
            return Ok(());
        };
        let (_, interface) = check::interface_of(previous, &link.name, None)?;
        if has_own_mac {
            check::mac(link, interface)?;
        }
        Ok(())
    }
}

/// The configuration may contain an alternative name of the bridge; the result contains its name.
fn find_bridge(config: &Config, outside: &mut Rtnetlink) -> Result<Link, Error> {
    let name = config.bridge.as_str();
    let bridge = outside.link_by_name(name)?;
    let gone = || CheckError::Gone {
        ifname: name.to_owned(),
        netns: None,
    };
    Ok(bridge.ok_or_else(gone)?)
}

fn check_bridge(config: &Config, bridge: &Link) -> Result<(), CheckError> {
    if !matches!(bridge.kind, LinkKind::Bridge { .. }) {
        let kind = bridge.kind.name();
        return Err(CheckError::differs("kind", bridge, kind, "bridge"));
    }
    check::up(bridge)?;
    let (found, wanted) = (bridge.is_promiscuous, config.is_promiscuous);
    on_if_wanted("promiscMode", bridge, found, wanted)
}

/// The container's other end.
fn port_of(container: &Link, outside: &mut Rtnetlink) -> Result<Link, Error> {
    let port = match container.parent {
        Some(parent) => outside.link_by_index(parent.index),
        None => Ok(None),
    };
    let is_its = |port: &Link| {
        let parent = port.parent.map(|parent| parent.index);
        port.kind == LinkKind::Veth && parent == Some(container.index)
    };
    let port = port?.filter(is_its);
    Ok(port
        .ok_or_else(|| CheckError::differs("other end", container, "elsewhere", "on the node"))?)
}

fn check_port(
    config: &Config,
    port: &Link,
    bridge: &Link,
    outside: &mut Rtnetlink,
) -> Result<(), Error> {
    if port.master != Some(bridge.index) {
        let found = check::name_of(outside, port.master)?;
        return Err(CheckError::differs("master", port, found, &bridge.name).into());
    }
    check::up(port)?;
    let Some(settings) = port.port else {
        return Ok(());
    };
    on_if_wanted("hairpinMode", port, settings.hairpin, config.hairpin)?;
    // If isolation is on but not configured, the container cannot reach isolated containers.
    if settings.isolated != config.is_isolated {
        let (found, wanted) = (settings.isolated, config.is_isolated);
        return Err(CheckError::differs("portIsolation", port, found, wanted).into());
    }
    Ok(())
}

/// Checks that a setting which a key requests is on. If the key does not, an operator may have
/// switched it on.
fn on_if_wanted(
    key: &'static str,
    link: &Link,
    found: bool,
    wanted: bool,
) -> Result<(), CheckError> {
    if found || !wanted {
        return Ok(());
    }
    Err(CheckError::differs(key, link, found, wanted))
}
