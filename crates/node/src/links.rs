//! Links with their addresses.

use std::collections::HashMap;

use container_link::LinkAlias;
use ipnetwork::IpNetwork;
use netlink::{Link, LinkAddress, NetlinkError, Rtnetlink};

use crate::{Part, Problem};

/// A link, and its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLink {
    /// The link.
    pub link: Link,
    /// Its addresses.
    pub addresses: Vec<LinkAddress>,
}

impl NodeLink {
    /// Its alias, if one of Twill's plugins has set it.
    pub fn own_alias(&self) -> Option<&str> {
        let alias = self.link.alias.as_deref();
        alias.filter(|alias| alias.starts_with(LinkAlias::PREFIX))
    }

    /// Its addresses, except link-local ones (RFC 4291), which the kernel sets itself.
    pub fn given_addresses(&self) -> impl Iterator<Item = IpNetwork> {
        let all = self.addresses.iter().map(|it| it.network);
        all.filter(|it| !matches!(it, IpNetwork::V6(v6) if v6.ip().is_unicast_link_local()))
    }
}

/// The links of a namespace, in ascending order of their indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeLinks(Vec<NodeLink>);

impl NodeLinks {
    /// Reads the links of the calling thread's namespace.
    ///
    /// # Errors
    /// [`Problem`] if the kernel refuses.
    pub fn of_node() -> Part<Self> {
        let links = Rtnetlink::open().and_then(|mut kernel| Self::read(&mut kernel));
        links.map_err(Problem::of)
    }

    /// Reads the links of a socket's namespace.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn read(kernel: &mut Rtnetlink) -> Result<Self, NetlinkError> {
        let links = kernel.links()?;
        let mut addresses: HashMap<u32, Vec<LinkAddress>> = HashMap::new();
        for (link, address) in kernel.all_addresses()? {
            addresses.entry(link).or_default().push(address);
        }
        let links = links.into_iter().map(|link| NodeLink {
            addresses: addresses.remove(&link.index).unwrap_or_default(),
            link,
        });
        Ok(links.collect())
    }

    /// All links, in the order of their indexes.
    pub fn iter(&self) -> impl Iterator<Item = &NodeLink> {
        self.0.iter()
    }

    /// A link by its index.
    pub fn by_index(&self, index: u32) -> Option<&NodeLink> {
        let found = self.0.binary_search_by_key(&index, |it| it.link.index);
        self.0.get(found.ok()?)
    }

    /// A link by its name.
    pub fn by_name(&self, name: &str) -> Option<&NodeLink> {
        self.iter().find(|it| it.link.name == name)
    }

    /// The links that are ports of a bridge, by its index.
    pub fn ports_of(&self, bridge: u32) -> impl Iterator<Item = &NodeLink> {
        self.iter().filter(move |it| it.link.master == Some(bridge))
    }
}

impl FromIterator<NodeLink> for NodeLinks {
    fn from_iter<I: IntoIterator<Item = NodeLink>>(links: I) -> Self {
        let mut links: Vec<NodeLink> = links.into_iter().collect();
        links.sort_unstable_by_key(|it| it.link.index);
        Self(links)
    }
}
