//! A pair of links: one end a port of the bridge, the other one in a container.

use cni_types::IfName;
use container_link::{IfnameTaken, LinkAlias};
use netlink::{Link, Mac, Netns, NewLink, NewPeer, NewVeth, Rtnetlink, Veth, random_name};

use crate::changes::Changes;
use crate::error::BridgeError;

/// How often another name is tried for the port.
const ATTEMPTS: usize = 8;

/// The first byte of a port's MAC. A bridge without a MAC of its own takes the lowest of its
/// ports', and it should not change as containers come and go.
pub(crate) const PORT_MAC_START: u8 = 0xfe;

/// The end that is to be no port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FarEnd<'a> {
    pub(crate) name: &'a IfName,
    pub(crate) netns: &'a Netns,
    pub(crate) mac: Mac,
    /// The MTU of both ends.
    pub(crate) mtu: Option<u32>,
}

/// Makes both ends where they belong, the port set up and plugged in. The far end stays down.
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

/// As [`make`], with an attachment's mark on the port. A pair of an earlier ADD of the same
/// attachment, whose end is in another namespace, is in nobody's way.
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
                // It may be there without its mark.
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
