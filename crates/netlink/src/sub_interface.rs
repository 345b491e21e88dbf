//! Sub-interfaces, which share the wire of another link, their parent: ipvlan and macvlan.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd};
use std::str::FromStr;

use nix::libc;

use crate::attributes::Attributes;
use crate::new_link::{creation, naming, with_kind};
use crate::uapi::{
    IFLA_IPVLAN_MODE, IFLA_MACVLAN_MODE, IPVLAN_MODE_L2, IPVLAN_MODE_L3, IPVLAN_MODE_L3S,
    MACVLAN_MODE_BRIDGE, MACVLAN_MODE_PASSTHRU, MACVLAN_MODE_PRIVATE, MACVLAN_MODE_VEPA,
};
use crate::{
    Change, KernelRequest, Link, LinkChange, LinkKind, LinkRef, NetlinkError, Netns, NewLink,
    Rtnetlink, random_name,
};

/// The kind and the mode of a sub-interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubInterface {
    /// With the parent's Ethernet address.
    Ipvlan(IpvlanMode),
    /// With an Ethernet address of its own.
    Macvlan(MacvlanMode),
}

/// The mode of an ipvlan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvlanMode {
    /// `l2`: frames; its namespace routes.
    L2,
    /// `l3`: packets; the parent's namespace routes.
    L3,
    /// `l3s`: as `l3`, with the parent's firewall in the way.
    L3s,
}

/// The mode of a macvlan: how it reaches other macvlans of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacvlanMode {
    /// `private`: not at all.
    Private,
    /// `vepa`: through the switch outside.
    Vepa,
    /// `bridge`: directly.
    Bridge,
    /// `passthru`: it is the only one.
    Passthru,
}

/// A sub-interface to create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSubInterface<'a> {
    /// The properties that every link has.
    pub link: NewLink<'a>,
    /// Its kind and mode.
    pub kind: SubInterface,
    /// The index of its parent.
    pub parent: u32,
}

/// A string that is not a mode.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown mode {mode:?}: use one of {known}")]
pub struct UnknownMode {
    /// The text.
    pub mode: String,
    /// The valid modes.
    pub known: &'static str,
}

impl SubInterface {
    /// The kind and mode of an existing link, as the kernel reports them.
    pub fn kind(self) -> LinkKind {
        match self {
            Self::Ipvlan(mode) => LinkKind::Ipvlan(Some(mode)),
            Self::Macvlan(mode) => LinkKind::Macvlan(Some(mode)),
        }
    }

    /// The kernel's name for the kind, and so the name of its module.
    pub fn kind_name(self) -> &'static str {
        match self {
            Self::Ipvlan(_) => "ipvlan",
            Self::Macvlan(_) => "macvlan",
        }
    }

    /// The name of the mode, as `ip link` prints it.
    pub fn mode_name(self) -> &'static str {
        match self {
            Self::Ipvlan(mode) => mode.as_str(),
            Self::Macvlan(mode) => mode.as_str(),
        }
    }
}

impl NewSubInterface<'_> {
    /// The request that creates it in a namespace; `None` is the parent's.
    fn request(&self, netns: Option<&Netns>) -> KernelRequest {
        let mode = match self.kind {
            SubInterface::Ipvlan(mode) => Attributes::new().u16(IFLA_IPVLAN_MODE, mode.number()),
            SubInterface::Macvlan(mode) => Attributes::new().u32(IFLA_MACVLAN_MODE, mode.number()),
        };
        let attributes = with_kind(self.link.attributes(), self.kind.kind_name(), mode)
            .u32(libc::IFLA_LINK, self.parent)
            .with(netns, |to, netns| {
                let fd = netns.as_fd().as_raw_fd().cast_unsigned();
                to.u32(libc::IFLA_NET_NS_FD, fd)
            });
        creation(self.describe(&self.parent.to_string(), netns), attributes)
    }

    fn describe(&self, parent: &str, netns: Option<&Netns>) -> String {
        let (kind, name) = (self.kind.kind_name(), self.link.name);
        let what = format!("create {kind} {name} on link {parent}");
        match netns {
            Some(netns) => format!("{what} in {}", netns.path().display()),
            None => what,
        }
    }
}

impl Rtnetlink {
    /// Creates a sub-interface of a link in this namespace, and returns it.
    ///
    /// # Errors
    /// [`NetlinkError::is_exists`] if the name is taken.
    pub fn create_sub_interface(
        &mut self,
        new: &NewSubInterface<'_>,
    ) -> Result<Link, NetlinkError> {
        let created = self.send_and_read(&[new.request(None)], LinkRef::Name(new.link.name));
        created.map_err(|error| self.with_link_name(error, new.parent, |p| new.describe(p, None)))
    }

    /// Creates a sub-interface of one of this namespace's links in another namespace, and returns
    /// it. It gets an alias of at most 254 bytes, if one is given, by the exchange that reads it.
    ///
    /// # Errors
    /// [`NetlinkError::is_exists`] if the name is taken in the other namespace.
    pub fn create_sub_interface_in(
        &mut self,
        new: &NewSubInterface<'_>,
        alias: Option<&str>,
        netns: &Netns,
        inside: &mut Rtnetlink,
    ) -> Result<Link, NetlinkError> {
        let name = new.link.name;
        match self.send_sub_interface(new, netns) {
            Err(error) if error.is_exists() => {
                // Kernels before 6.15 look for the name in the parent's namespace. If it is free in
                // the other one, the link can get it there.
                if inside.link_by_name(name)?.is_some() {
                    return Err(error);
                }
                self.create_then_name(new, alias, netns, inside)
            }
            Err(error) => Err(error),
            Ok(()) => {
                let alias = alias.map(|alias| naming(name, alias));
                let created = inside.send_and_read(alias.as_slice(), LinkRef::Name(name));
                if created.is_err()
                    && let Ok(Some(left)) = inside.link_by_name(name)
                {
                    // Only the first error has the cause.
                    drop(inside.remove_links(&[left.index]));
                }
                created
            }
        }
    }

    fn send_sub_interface(
        &mut self,
        new: &NewSubInterface<'_>,
        netns: &Netns,
    ) -> Result<(), NetlinkError> {
        let sent = self.send(&[new.request(Some(netns))]);
        sent.map_err(|error| {
            self.with_link_name(error, new.parent, |p| new.describe(p, Some(netns)))
        })
    }

    fn create_then_name(
        &mut self,
        new: &NewSubInterface<'_>,
        alias: Option<&str>,
        netns: &Netns,
        inside: &mut Rtnetlink,
    ) -> Result<Link, NetlinkError> {
        let name = random_name("tmp");
        let mut unnamed = *new;
        (unnamed.link.name, unnamed.link.is_up) = (&name, false);
        self.send_sub_interface(&unnamed, netns)?;
        let index = inside.apply_and_read(&[], LinkRef::Name(&name))?.index;
        let naming = Change::SetLink {
            link: index,
            change: LinkChange {
                name: Some(new.link.name.to_owned()),
                alias: alias.map(str::to_owned),
                is_up: new.link.is_up.then_some(true),
                ..LinkChange::default()
            },
        };
        let named = inside.apply_and_read(&[naming], LinkRef::Index(index));
        if named.is_err() {
            // Only the first error has the cause.
            drop(inside.remove_links(&[index]));
        }
        named
    }
}

impl IpvlanMode {
    const ALL: [Self; 3] = [Self::L2, Self::L3, Self::L3s];

    /// Its name in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::L3 => "l3",
            Self::L3s => "l3s",
        }
    }

    const fn number(self) -> u16 {
        match self {
            Self::L2 => IPVLAN_MODE_L2,
            Self::L3 => IPVLAN_MODE_L3,
            Self::L3s => IPVLAN_MODE_L3S,
        }
    }

    pub(crate) fn of_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.number() == number)
    }
}

impl MacvlanMode {
    const ALL: [Self; 4] = [Self::Private, Self::Vepa, Self::Bridge, Self::Passthru];

    /// Its name in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Vepa => "vepa",
            Self::Bridge => "bridge",
            Self::Passthru => "passthru",
        }
    }

    const fn number(self) -> u32 {
        match self {
            Self::Private => MACVLAN_MODE_PRIVATE,
            Self::Vepa => MACVLAN_MODE_VEPA,
            Self::Bridge => MACVLAN_MODE_BRIDGE,
            Self::Passthru => MACVLAN_MODE_PASSTHRU,
        }
    }

    pub(crate) fn of_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.number() == number)
    }
}

impl fmt::Display for IpvlanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for MacvlanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for IpvlanMode {
    type Err = UnknownMode;

    fn from_str(mode: &str) -> Result<Self, UnknownMode> {
        let found = Self::ALL.into_iter().find(|known| known.as_str() == mode);
        found.ok_or_else(|| UnknownMode {
            mode: mode.to_owned(),
            known: "l2, l3, l3s",
        })
    }
}

impl FromStr for MacvlanMode {
    type Err = UnknownMode;

    fn from_str(mode: &str) -> Result<Self, UnknownMode> {
        let found = Self::ALL.into_iter().find(|known| known.as_str() == mode);
        found.ok_or_else(|| UnknownMode {
            mode: mode.to_owned(),
            known: "private, vepa, bridge, passthru",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The workaround for kernels before 6.15 works on any.
    #[test]
    fn a_sub_interface_can_get_its_name_where_it_is() {
        if !testkit::requirements::require_root() {
            return;
        }
        let (host, container) = (
            testkit::NetNs::new().unwrap(),
            testkit::NetNs::new().unwrap(),
        );
        host.enter(|| {
            let home = Netns::current().unwrap();
            let netns = Netns::open(&container.path()).unwrap();
            let mut outside = Rtnetlink::open().unwrap();
            let mut inside = Rtnetlink::open_in(&netns, &home).unwrap();
            let link = NewLink {
                is_up: true,
                ..NewLink::named("eth0")
            };
            let parent = outside.create_bridge(&link, None).unwrap().index;
            let kind = SubInterface::Macvlan(MacvlanMode::Bridge);
            let new = NewSubInterface { link, kind, parent };
            let mut create = || outside.create_then_name(&new, None, &netns, &mut inside);
            let created = create().unwrap();
            assert_eq!((created.name.as_str(), created.is_up), ("eth0", true));
            assert_eq!(created.kind, LinkKind::Macvlan(Some(MacvlanMode::Bridge)));
            assert!(create().unwrap_err().is_exists());
        });
        let names = |netns: &testkit::NetNs| -> Vec<String> {
            let links = netns.ip_json(&["link"]);
            let links = links.as_array().unwrap().iter();
            let name = |link: &serde_json::Value| link["ifname"].as_str().unwrap().to_owned();
            links.map(name).collect()
        };
        assert_eq!(names(&host), ["lo", "eth0"]);
        assert_eq!(names(&container), ["lo", "eth0"]);
    }
}
