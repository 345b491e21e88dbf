//! Creating links: the properties that every kind has, and bridges.

use nix::libc;

use crate::attributes::Attributes;
use crate::link::LinkHeader;
use crate::request::{CREATE, EXCLUSIVE};
use crate::uapi::IFLA_BR_VLAN_FILTERING;
use crate::{Answer, KernelRequest, Link, LinkRef, Mac, NetlinkError, Rtnetlink, random_name};

/// The properties that every link can be created with. [`NewLink::named`] leaves all of them but
/// the name to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewLink<'a> {
    /// Its name, at most 15 bytes.
    pub name: &'a str,
    /// Its MTU in bytes; the kind's default if `None`.
    pub mtu: Option<u32>,
    /// Its Ethernet address; a random one if `None`.
    pub mac: Option<Mac>,
    /// The index of the bridge that it becomes a port of.
    pub master: Option<u32>,
    /// Whether it is set up at once.
    pub is_up: bool,
}

impl<'a> NewLink<'a> {
    /// A link with this name that stays down.
    pub fn named(name: &'a str) -> Self {
        Self {
            name,
            mtu: None,
            mac: None,
            master: None,
            is_up: false,
        }
    }

    /// The link's fields and attributes, without those of its kind.
    pub(crate) fn attributes(&self) -> Attributes {
        let mut header = LinkHeader::default();
        header.set(libc::IFF_UP, self.is_up.then_some(true));
        header
            .attributes()
            .text(libc::IFLA_IFNAME, self.name)
            .with(self.mtu, |to, mtu| to.u32(libc::IFLA_MTU, mtu))
            .with(self.mac, |to, mac| to.bytes(libc::IFLA_ADDRESS, &mac.0))
            .with(self.master, |to, master| to.u32(libc::IFLA_MASTER, master))
    }
}

/// Appends a link's kind (`vlan`, for example) and the attributes that only this kind has.
pub(crate) fn with_kind(link: Attributes, kind: &str, data: Attributes) -> Attributes {
    let info = Attributes::new()
        .text(libc::IFLA_INFO_KIND, kind)
        .nest_unmarked(libc::IFLA_INFO_DATA, data);
    link.nest_unmarked(libc::IFLA_LINKINFO, info)
}

/// The request that creates a link; `what` describes it, as it follows "cannot".
pub(crate) fn creation(what: String, link: Attributes) -> KernelRequest {
    KernelRequest {
        what,
        message_type: libc::RTM_NEWLINK,
        flags: CREATE | EXCLUSIVE,
        payload: link.into_bytes(),
        answer: Answer::Nothing,
    }
}

/// The request that sets the alias of a link by its name, at most 254 bytes. The kernel ignores an
/// alias when it creates a link.
pub(crate) fn naming(name: &str, alias: &str) -> KernelRequest {
    let payload = LinkHeader::default()
        .attributes()
        .text(libc::IFLA_IFNAME, name)
        .text(libc::IFLA_IFALIAS, alias);
    KernelRequest {
        what: format!("give link {name} the alias {alias}"),
        message_type: libc::RTM_SETLINK,
        flags: 0,
        payload: payload.into_bytes(),
        answer: Answer::Nothing,
    }
}

fn ifb(link: &NewLink<'_>) -> KernelRequest {
    let what = format!("create ifb {}", link.name);
    creation(what, with_kind(link.attributes(), "ifb", Attributes::new()))
}

impl Rtnetlink {
    /// Creates an ifb, gives it an alias of at most 254 bytes, and returns it. Packets that are
    /// redirected to an ifb pass its qdisc, and then continue on their way.
    ///
    /// If the name is taken, the link that has it gets the alias: the name must follow from the
    /// alias.
    ///
    /// # Errors
    /// [`NetlinkError::is_exists`] if the name is taken; [`NetlinkError::is_unsupported`] if the
    /// kernel has no such links.
    pub fn create_ifb(&mut self, link: &NewLink<'_>, alias: &str) -> Result<Link, NetlinkError> {
        let requests = [ifb(link), naming(link.name, alias)];
        self.send_and_read(&requests, LinkRef::Name(link.name))
    }

    /// Checks that the kernel has links of kind ifb, and loads the module if necessary. Nothing is
    /// created, because the requested MAC is invalid.
    ///
    /// # Errors
    /// [`NetlinkError::is_unsupported`] if the kernel has no such links.
    pub fn probe_ifb(&mut self) -> Result<(), NetlinkError> {
        let name = random_name("ifb");
        let link = NewLink {
            mac: Some(Mac([0; 6])),
            ..NewLink::named(&name)
        };
        match self.send(&[ifb(&link)]) {
            Err(error) if error.is_unsupported() => Err(error),
            _ => Ok(()),
        }
    }

    /// Creates a bridge and returns it. `vlan_filtering` says whether it filters VLANs; if `None`,
    /// it is the kernel's default.
    ///
    /// Without an Ethernet address of its own the bridge takes one of its ports', and changes it as
    /// they come and go.
    ///
    /// # Errors
    /// [`NetlinkError::is_exists`] if the name is taken.
    pub fn create_bridge(
        &mut self,
        link: &NewLink<'_>,
        vlan_filtering: Option<bool>,
    ) -> Result<Link, NetlinkError> {
        let data = Attributes::new().with(vlan_filtering, |to, is_on| {
            to.u8(IFLA_BR_VLAN_FILTERING, u8::from(is_on))
        });
        let what = format!("create bridge {}", link.name);
        let bridge = creation(what, with_kind(link.attributes(), "bridge", data));
        self.send_and_read(&[bridge], LinkRef::Name(link.name))
    }
}
