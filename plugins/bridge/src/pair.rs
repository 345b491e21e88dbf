//! A veth pair: one end is a port of the bridge, the other end is in a container.

use cni_types::IfName;
use container_link::{IfnameTaken, LinkAlias};
use netlink::{Link, Mac, Netns, NewLink, NewPeer, NewVeth, Rtnetlink, Veth, random_name};

use crate::changes::Changes;
use crate::error::BridgeError;

/// The number of random names that are tried for the port.
const ATTEMPTS: usize = 8;

/// The first byte of a port's MAC. A bridge without a MAC of its own takes the lowest MAC of its
/// ports, and must not change as containers are added and removed.
pub(crate) const PORT_MAC_START: u8 = 0xfe;

/// The end of the pair that is not the bridge's port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FarEnd<'a> {
    pub(crate) name: &'a IfName,
    pub(crate) netns: &'a Netns,
    pub(crate) mac: Mac,
    /// The MTU of both ends.
    pub(crate) mtu: Option<u32>,
}

/// Creates a veth pair with each end in its namespace. The port is up and plugged into the bridge;
/// the far end is down.
///
/// # Errors
/// [`BridgeError::IfnameTaken`].
pub(crate) fn make(
    changes: &mut Changes<'_>,
    bridge: &Link,
    end: FarEnd<'_>,
    inside: &mut Rtnetlink,
) -> Result<Veth, BridgeError> {
    let names = std::iter::repeat_with(|| random_name("veth")).take(ATTEMPTS);
    make_with(changes, bridge, end, inside, names, None)
}

/// As [`make`], with an attachment's alias and name on the port. If the pair of an earlier ADD of
/// the same attachment still exists, in another namespace, the port gets the next name.
pub(crate) fn make_with_alias(
    changes: &mut Changes<'_>,
    bridge: &Link,
    end: FarEnd<'_>,
    inside: &mut Rtnetlink,
    alias: &LinkAlias,
) -> Result<Veth, BridgeError> {
    make_with(
        changes,
        bridge,
        end,
        inside,
        alias.port_names(),
        Some(alias),
    )
}

fn make_with(
    changes: &mut Changes<'_>,
    bridge: &Link,
    end: FarEnd<'_>,
    inside: &mut Rtnetlink,
    names: impl Iterator<Item = String>,
    alias: Option<&LinkAlias>,
) -> Result<Veth, BridgeError> {
    let peer = NewPeer {
        name: end.name.as_str(),
        netns: end.netns,
        mtu: end.mtu,
        mac: Some(end.mac),
    };
    let mut last = String::new();
    for name in names {
        let mac = port_mac();
        let port = NewLink {
            mac: Some(mac),
            mtu: end.mtu,
            master: Some(bridge.index),
            is_up: true,
            ..NewLink::named(&name)
        };
        let alias = alias.map(LinkAlias::as_str);
        match changes.kernel.create_veth(&NewVeth { port, peer }, alias) {
            Err(error) if error.is_exists() => {
                if inside.link_by_name(end.name.as_str())?.is_some() {
                    let (ifname, netns) = (end.name.clone(), end.netns.path().to_owned());
                    return Err(IfnameTaken { ifname, netns }.into());
                }
            }
            Err(error) if error.is_full() => {
                let bridge = bridge.name.clone();
                return Err(BridgeError::Full { bridge });
            }
            Err(error) => {
                // The kernel may have created the pair and then refused the alias.
                let left = changes.kernel.link_by_name(&name)?;
                if let Some(link) = left.filter(|link| link.mac == Some(mac)) {
                    changes.kernel.remove_links(&[link.index])?;
                }
                return Err(error.into());
            }
            Ok(pair) => return Ok(pair),
        }
        last = name;
    }
    Err(BridgeError::NoFreeName(last))
}

fn port_mac() -> Mac {
    let Mac([_, rest @ ..]) = Mac::random();
    let [b, c, d, e, f] = rest;
    Mac([PORT_MAC_START, b, c, d, e, f])
}
