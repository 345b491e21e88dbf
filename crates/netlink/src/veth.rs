//! veth pairs.

use std::os::fd::{AsFd, AsRawFd};

use nix::libc;

use crate::attributes::Attributes;
use crate::link::LinkHeader;
use crate::new_link::{creation, naming, with_kind};
use crate::socket::garbled;
use crate::uapi::VETH_INFO_PEER;
use crate::{Link, LinkRef, Mac, NetlinkError, Netns, NewLink, Rtnetlink};

/// A veth pair to create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewVeth<'a> {
    /// The end in this namespace.
    pub port: NewLink<'a>,
    /// The other end.
    pub peer: NewPeer<'a>,
}

/// The far end of a pair to create. It stays down, and is not a port of a bridge: the kernel would
/// set the link up before it is connected, which a veth refuses, and ignores a master there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewPeer<'a> {
    /// Its name, at most 15 bytes.
    pub name: &'a str,
    /// Its namespace, in which it is created: moving a link takes 20 milliseconds.
    pub netns: &'a Netns,
    /// Its MTU in bytes; 1500 if `None`.
    pub mtu: Option<u32>,
    /// Its Ethernet address; a random one if `None`.
    pub mac: Option<Mac>,
}

/// A veth pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Veth {
    /// The end in this namespace.
    pub port: Link,
    /// The other end.
    pub peer: Peer,
}

/// The far end of a pair, which the socket of the near one's namespace cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its index in its namespace.
    pub index: u32,
    /// Its name there.
    pub name: String,
}

impl NewPeer<'_> {
    fn attributes(&self) -> Attributes {
        LinkHeader::default()
            .attributes()
            .text(libc::IFLA_IFNAME, self.name)
            .with(self.mtu, |to, mtu| to.u32(libc::IFLA_MTU, mtu))
            .with(self.mac, |to, mac| to.bytes(libc::IFLA_ADDRESS, &mac.0))
            .u32(
                libc::IFLA_NET_NS_FD,
                self.netns.as_fd().as_raw_fd().cast_unsigned(),
            )
    }
}

impl Rtnetlink {
    /// Creates a pair with each end in its namespace, and returns it. The port gets an alias of at
    /// most 254 bytes, if one is given: it follows in the same datagram, so not even a kill leaves
    /// the port without it.
    ///
    /// If the port's name is taken, the link that has it gets the alias: the name must follow from
    /// the alias.
    ///
    /// # Errors
    /// [`NetlinkError::is_exists`] if either name is taken. If only the alias is refused, or
    /// another process has removed the pair meanwhile, the port may exist.
    pub fn create_veth(
        &mut self,
        pair: &NewVeth<'_>,
        alias: Option<&str>,
    ) -> Result<Veth, NetlinkError> {
        let NewVeth { port, peer } = pair;
        let what = format!(
            "create veth {} with {} in {}",
            port.name,
            peer.name,
            peer.netns.path().display()
        );
        let data = Attributes::new().nest_unmarked(VETH_INFO_PEER, peer.attributes());
        let new = creation(what.clone(), with_kind(port.attributes(), "veth", data));
        let alias = alias.map(|alias| naming(port.name, alias));
        let requests: Vec<_> = [new].into_iter().chain(alias).collect();
        let port = self.send_and_read(&requests, LinkRef::Name(port.name))?;
        let far_end = port
            .parent
            .ok_or_else(|| garbled(&what, "it has no peer"))?;
        Ok(Veth {
            port,
            peer: Peer {
                index: far_end.index,
                name: peer.name.to_owned(),
            },
        })
    }
}
