//! A pair of links: one end a port of the bridge, the other one in a container.

use cni_types::IfName;
use container_link::IfnameTaken;
use netlink::{Change, Link, Mac, Netns, NewLink, Rtnetlink, random_name};

use crate::error::BridgeError;
use crate::undo::Changes;

/// How often another name is tried for the port.
const ATTEMPTS: usize = 8;

/// The first byte of a port's MAC. A bridge without a MAC of its own takes the lowest of its ports', and it should not
/// change as containers come and go.
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

/// Makes both ends where they belong, the port set up and plugged in, and returns the port. Its parent is the far end,
/// which stays down.
///
/// Errors: [`BridgeError::IfnameTaken`].
pub(crate) fn make(
    changes: &mut Changes<'_>,
    bridge: &Link,
    end: FarEnd<'_>,
    inside: &mut Rtnetlink,
) -> Result<Link, BridgeError> {
    let far = NewLink {
        mac: Some(end.mac),
        mtu: end.mtu,
        ..NewLink::named(end.name.as_str())
    };
    let mut name = String::new();
    for _ in 0..ATTEMPTS {
        name = random_name("veth");
        let near = NewLink {
            mac: Some(port_mac()),
            mtu: end.mtu,
            master: Some(bridge.index),
            is_up: true,
            ..NewLink::named(&name)
        };
        let pair = Change::create_veth(&near, &far, end.netns);
        match changes.kernel.create(pair, &name) {
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
            made => return Ok(made?),
        }
    }
    Err(BridgeError::NoFreeName(name))
}

fn port_mac() -> Mac {
    let Mac([_, rest @ ..]) = Mac::random();
    let [b, c, d, e, f] = rest;
    Mac([PORT_MAC_START, b, c, d, e, f])
}
