//! Whether the attachment that holds an address is alive, and the reasons to say so.

use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;

use ipnetwork::IpNetwork;
use netlink::Mac;

/// Whether the attachment that holds an address is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is alive.
    Alive(Evidence),
    /// It is dead.
    Dead(Death),
    /// The links do not show it.
    Unknown(Doubt),
}

/// The evidence that an attachment is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Its address is on a link of a container.
    Address(Rc<Sighting>),
    /// A link has its alias: the node's end of its pair, or its ipvlan or macvlan.
    Link(Rc<LinkPlace>),
}

/// A link, and the namespace that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkPlace {
    /// The link.
    pub name: String,
    /// The namespace; `None` for the node's.
    pub netns: Option<PathBuf>,
}

/// The reason why an attachment counts as dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Death {
    /// The address was given in an earlier boot, and is on no link.
    EarlierBoot,
    /// The address is on a link of another attachment, and this one has no link.
    Elsewhere(Rc<Sighting>),
    /// The address is on no link, and no link has the attachment's alias.
    NoLink,
}

/// The reason why the links do not show whether an attachment is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Links or namespaces could not be read.
    Unread(Rc<str>),
    /// A veth pair without Twill's alias leads to a namespace that was not found, and that may have
    /// the address.
    HiddenEnd(Rc<str>),
}

/// An address on a link of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The address, with the length of its network's prefix.
    pub address: IpNetwork,
    /// The namespace.
    pub netns: PathBuf,
    /// The link.
    pub link: String,
    /// Its MAC.
    pub mac: Option<Mac>,
    /// The index of the node's end, where the link is one of a pair's ends.
    pub node_end: Option<u32>,
    /// The link's alias, which names its attachment; `None` if Twill did not create the link.
    pub alias: Option<String>,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(sighting) => write!(f, "{sighting}"),
            Self::Link(link) => match &link.netns {
                None => write!(f, "link {} of the node is its own", link.name),
                Some(netns) => write!(f, "link {} in {} is its own", link.name, netns.display()),
            },
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EarlierBoot => f.write_str("given in an earlier boot, and on no link"),
            Self::Elsewhere(sighting) => match &sighting.alias {
                Some(alias) => write!(f, "{sighting}, which is {alias}'s"),
                None => write!(f, "{sighting}"),
            },
            Self::NoLink => f.write_str("on no link"),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(problem) => f.write_str(problem),
            Self::HiddenEnd(name) => {
                write!(f, "{name} leads to a namespace that was not found")
            }
        }
    }
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "on {} in {}", self.link, self.netns.display())
    }
}
