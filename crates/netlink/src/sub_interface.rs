//! Sub-interfaces, which share another link, their parent: ipvlan and macvlan.

use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_route::link::{
    InfoData, InfoIpVlan, InfoKind, InfoMacVlan, LinkAttribute, LinkInfo,
};

use crate::subject::LINK;
use crate::{
    Change, IpvlanMode, Kind, Link, LinkChange, LinkRef, MacvlanMode, NetlinkError, Netns, NewLink,
    Rtnetlink, new_link, random_name,
};

/// The kind and the mode of a sub-interface: a link that shares its parent's wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubInterface {
    /// With the parent's Ethernet address.
    Ipvlan(IpvlanMode),
    /// With an Ethernet address of its own.
    Macvlan(MacvlanMode),
}

impl SubInterface {
    /// The kind and mode of such a link, as the kernel reports them.
    pub fn kind(self) -> Kind {
        match self {
            Self::Ipvlan(mode) => Kind::Ipvlan(Some(mode)),
            Self::Macvlan(mode) => Kind::Macvlan(Some(mode)),
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

impl<'a> Change<'a> {
    /// Makes an ipvlan or a macvlan on a link of this namespace: here, or at once in another one.
    ///
    /// Kernels before 6.15 refuse a name that a link has in this namespace, even where the new link
    /// goes elsewhere;
    /// [`Rtnetlink::create_sub_interface_in`](crate::Rtnetlink::create_sub_interface_in) knows a
    /// way.
    pub fn create_sub_interface(
        link: &NewLink<'_>,
        kind: SubInterface,
        parent: u32,
        netns: Option<&'a Netns>,
    ) -> Self {
        let (info_kind, data) = match kind {
            SubInterface::Ipvlan(mode) => (
                InfoKind::IpVlan,
                InfoData::IpVlan(vec![InfoIpVlan::Mode(mode.into())]),
            ),
            SubInterface::Macvlan(mode) => (
                InfoKind::MacVlan,
                InfoData::MacVlan(vec![InfoMacVlan::Mode(mode.into())]),
            ),
        };
        let mut message = link.message(vec![LinkInfo::Kind(info_kind), LinkInfo::Data(data)]);
        message.attributes.push(LinkAttribute::Link(parent));
        let mut what = format!("create {} {} on link {LINK}", kind.kind_name(), link.name);
        if let Some(netns) = netns {
            let fd = netns.as_fd().as_raw_fd();
            message.attributes.push(LinkAttribute::NetNsFd(fd));
            what = format!("{what} in {}", netns.path().display());
        }
        new_link::create(what, message)
    }
}

impl Rtnetlink {
    /// Makes an ipvlan or macvlan on one of this namespace's links in another namespace, and reads
    /// what it became there. It gets an alias of at most 254 bytes, if one is given, by the message
    /// that reads it.
    ///
    /// # Errors
    /// [`NetlinkError::is_exists`] if the name is taken in the other namespace.
    pub fn create_sub_interface_in(
        &mut self,
        link: &NewLink<'_>,
        kind: SubInterface,
        parent: u32,
        alias: Option<&str>,
        netns: &Netns,
        inside: &mut Rtnetlink,
    ) -> Result<Link, NetlinkError> {
        match self.perform(&[Change::create_sub_interface(
            link,
            kind,
            parent,
            Some(netns),
        )]) {
            Err(error) if error.is_exists() => {
                // Kernels before 6.15 look for the name here. If it is free there, it can be given
                // there.
                if inside.link_by_name(link.name)?.is_some() {
                    return Err(error);
                }
                self.create_sub_interface_then_name(link, kind, parent, alias, netns, inside)
            }
            Err(error) => Err(error),
            Ok(()) => {
                let naming: Vec<Change<'_>> = alias
                    .map(|alias| Change::set_alias(link.name, alias))
                    .into_iter()
                    .collect();
                let made = inside.perform_and_read(&naming, LinkRef::Name(link.name));
                if made.is_err()
                    && let Ok(Some(left)) = inside.link_by_name(link.name)
                {
                    // The first error is the one that tells why.
                    drop(inside.remove_links(&[left.index]));
                }
                made
            }
        }
    }

    fn create_sub_interface_then_name(
        &mut self,
        link: &NewLink<'_>,
        kind: SubInterface,
        parent: u32,
        alias: Option<&str>,
        netns: &Netns,
        inside: &mut Rtnetlink,
    ) -> Result<Link, NetlinkError> {
        let name = random_name("tmp");
        let unnamed = NewLink {
            name: &name,
            is_up: false,
            ..*link
        };
        self.perform(&[Change::create_sub_interface(
            &unnamed,
            kind,
            parent,
            Some(netns),
        )])?;
        let index = inside.perform_and_read(&[], LinkRef::Name(&name))?.index;
        let naming = LinkChange {
            name: Some(link.name),
            alias,
            is_up: link.is_up.then_some(true),
            ..LinkChange::default()
        };
        let named = inside.perform_and_read(
            &[Change::change_link(index, &naming)],
            LinkRef::Index(index),
        );
        if named.is_err() {
            // The first error is the one that tells why.
            drop(inside.remove_links(&[index]));
        }
        named
    }
}

impl From<IpvlanMode> for netlink_packet_route::link::IpVlanMode {
    fn from(mode: IpvlanMode) -> Self {
        match mode {
            IpvlanMode::L2 => Self::L2,
            IpvlanMode::L3 => Self::L3,
            IpvlanMode::L3s => Self::L3S,
        }
    }
}

impl From<MacvlanMode> for netlink_packet_route::link::MacVlanMode {
    fn from(mode: MacvlanMode) -> Self {
        match mode {
            MacvlanMode::Private => Self::Private,
            MacvlanMode::Vepa => Self::Vepa,
            MacvlanMode::Bridge => Self::Bridge,
            MacvlanMode::Passthru => Self::Passthrough,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What kernels before 6.15 need, on any.
    #[test]
    fn a_sub_interface_can_get_its_name_in_its_namespace() {
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
            let bridge = NewLink {
                is_up: true,
                ..NewLink::named("eth0")
            };
            let bridge = Change::create_bridge(&bridge, None);
            let parent = outside.create(bridge, "eth0").unwrap().index;
            let link = NewLink {
                is_up: true,
                ..NewLink::named("eth0")
            };
            let kind = SubInterface::Macvlan(MacvlanMode::Bridge);
            let mut make = || {
                outside.create_sub_interface_then_name(
                    &link,
                    kind,
                    parent,
                    None,
                    &netns,
                    &mut inside,
                )
            };
            let made = make().unwrap();
            assert_eq!((made.name.as_str(), made.is_up), ("eth0", true));
            assert_eq!(made.kind, Kind::Macvlan(Some(MacvlanMode::Bridge)));
            assert!(make().unwrap_err().is_exists());
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
