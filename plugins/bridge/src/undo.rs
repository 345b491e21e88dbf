//! The steps of an ADD's rollback, as values.

use std::fmt;

use ipnetwork::IpNetwork;
use netlink::sysctl::SysctlError;
use netlink::{Change, LinkChange, PortVlans, Rtnetlink, VlanOwner};

use crate::error::BridgeError;
use crate::gateway::removals;
use crate::ipv6;

/// A step of the rollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undo {
    /// Undo a change in the container, or let IPAM release the addresses.
    InContainer(container_link::UndoInContainer),
    /// Remove the rules of the attachment with these addresses.
    RemoveRules { addresses: Vec<IpNetwork> },
    /// Undo a change of the node's network.
    OnNode(OnNode),
}

/// A step on the node's network. Links are named by their indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OnNode {
    /// Remove the container's veth pair by its port.
    RemovePair { port: u32 },
    /// Remove the bridge.
    RemoveBridge { bridge: u32 },
    /// Restore properties of the bridge.
    RestoreBridge { bridge: u32, former: LinkChange },
    /// Remove the bridge itself from a VLAN.
    LeaveVlan { bridge: u32, vlan: u16 },
    /// Remove the veth pair of the gateways' link in a VLAN by its port.
    RemoveVlanGateway { port: u32 },
    /// Set the gateways' link in a VLAN down.
    SetVlanGatewayDown { link: u32 },
    /// Remove the gateways' addresses from their link.
    RemoveGateways {
        link: u32,
        addresses: Vec<IpNetwork>,
    },
    /// Restore an IPv6 setting of a link.
    RestoreIpv6Setting {
        link: String,
        setting: &'static str,
        former: String,
    },
}

impl From<container_link::UndoInContainer> for Undo {
    fn from(step: container_link::UndoInContainer) -> Self {
        Self::InContainer(step)
    }
}

impl From<OnNode> for Undo {
    fn from(step: OnNode) -> Self {
        Self::OnNode(step)
    }
}

impl Undo {
    /// Whether other containers may use by now what the step removes. Such a step is skipped if any
    /// other link is plugged into the bridge.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::InContainer(_) | Self::RemoveRules { .. } => false,
            Self::OnNode(step) => !matches!(step, OnNode::RemovePair { .. }),
        }
    }
}

impl OnNode {
    /// Carries out the step. It is no error if another process has already removed the same.
    pub(crate) fn carry_out(&self, kernel: &mut Rtnetlink) -> Result<(), BridgeError> {
        match self {
            Self::RemovePair { port: link }
            | Self::RemoveBridge { bridge: link }
            | Self::RemoveVlanGateway { port: link } => Ok(kernel.remove_links(&[*link])?),
            Self::RestoreBridge { bridge, former } => {
                put_back(kernel, &[set_link(*bridge, former.clone())])
            }
            Self::LeaveVlan { bridge, vlan } => {
                let leave = Change::DeleteVlans {
                    owner: VlanOwner::Bridge(*bridge),
                    vlans: vec![PortVlans::tagged(*vlan..=*vlan)],
                };
                put_back(kernel, &[leave])
            }
            Self::SetVlanGatewayDown { link } => {
                put_back(kernel, &[set_link(*link, LinkChange::up(false))])
            }
            Self::RemoveGateways { link, addresses } => {
                put_back(kernel, &removals(*link, addresses))
            }
            Self::RestoreIpv6Setting {
                link,
                setting,
                former,
            } => match ipv6::write_setting(link, setting, former) {
                Err(SysctlError::NotFound(_) | SysctlError::NoIpv6(_)) => Ok(()),
                written => Ok(written?),
            },
        }
    }
}

fn set_link(link: u32, change: LinkChange) -> Change {
    Change::SetLink { link, change }
}

/// Carries out changes, some of which other processes may have made already.
pub(crate) fn put_back(kernel: &mut Rtnetlink, changes: &[Change]) -> Result<(), BridgeError> {
    let applied = kernel.apply_each(changes)?.into_iter();
    let mut errors = applied.filter_map(|applied| applied.result.err());
    match errors.find(|error| !error.is_not_found() && !error.is_exists()) {
        None => Ok(()),
        Some(error) => Err(error.into()),
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InContainer(step) => step.fmt(f),
            Self::RemoveRules { .. } => f.write_str("remove the rules"),
            Self::OnNode(step) => step.fmt(f),
        }
    }
}

impl fmt::Display for OnNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemovePair { port } => write!(f, "remove the veth pair of port {port}"),
            Self::RemoveBridge { bridge } => write!(f, "remove bridge {bridge}"),
            Self::RestoreBridge { bridge, .. } => write!(f, "set bridge {bridge} as it was"),
            Self::LeaveVlan { bridge, vlan } => {
                write!(f, "take bridge {bridge} out of VLAN {vlan}")
            }
            Self::RemoveVlanGateway { port } => {
                write!(f, "remove the gateway's veth pair of port {port}")
            }
            Self::SetVlanGatewayDown { link } => write!(f, "set the gateway's link {link} down"),
            Self::RemoveGateways { link, addresses } => {
                write!(f, "remove the gateways' addresses from link {link}:")?;
                addresses
                    .iter()
                    .try_for_each(|address| write!(f, " {address}"))
            }
            Self::RestoreIpv6Setting {
                link,
                setting,
                former,
            } => write!(f, "set {setting} of {link} to {former}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_say_what_they_do_and_whether_others_may_need_it() {
        let addresses = vec![
            "10.1.1.1/24".parse().unwrap(),
            "fd00::1/64".parse().unwrap(),
        ];
        let setting = |setting, former: &str| OnNode::RestoreIpv6Setting {
            link: "cni0".to_owned(),
            setting,
            former: former.to_owned(),
        };
        for (step, is_shared, text) in [
            (
                Undo::from(container_link::UndoInContainer::ReleaseAddresses),
                false,
                "release the addresses",
            ),
            (
                Undo::from(OnNode::RemovePair { port: 4 }),
                false,
                "remove the veth pair of port 4",
            ),
            (
                Undo::RemoveRules {
                    addresses: addresses.clone(),
                },
                false,
                "remove the rules",
            ),
            (
                Undo::from(OnNode::RemoveBridge { bridge: 3 }),
                true,
                "remove bridge 3",
            ),
            (
                Undo::from(OnNode::RestoreBridge {
                    bridge: 3,
                    former: LinkChange::up(false),
                }),
                true,
                "set bridge 3 as it was",
            ),
            (
                Undo::from(OnNode::LeaveVlan {
                    bridge: 3,
                    vlan: 100,
                }),
                true,
                "take bridge 3 out of VLAN 100",
            ),
            (
                Undo::from(OnNode::RemoveVlanGateway { port: 5 }),
                true,
                "remove the gateway's veth pair of port 5",
            ),
            (
                Undo::from(OnNode::SetVlanGatewayDown { link: 6 }),
                true,
                "set the gateway's link 6 down",
            ),
            (
                Undo::from(OnNode::RemoveGateways { link: 3, addresses }),
                true,
                "remove the gateways' addresses from link 3: 10.1.1.1/24 fd00::1/64",
            ),
            (
                Undo::from(setting("accept_ra", "1")),
                true,
                "set accept_ra of cni0 to 1",
            ),
        ] {
            assert_eq!((step.is_shared(), &*step.to_string()), (is_shared, text));
        }
    }
}
