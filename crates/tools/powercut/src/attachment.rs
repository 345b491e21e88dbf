//! What is attached to what.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, bail};

/// How `host-local` keeps a network's addresses; there is one network of each kind, named after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Backend {
    /// A file an address.
    Disk,
    /// A database.
    Db,
}

impl Backend {
    pub(crate) const ALL: [Self; 2] = [Self::Disk, Self::Db];

    /// The value of the key `backend`, and the network's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Db => "db",
        }
    }

    /// Whether a success outlives a power cut.
    pub(crate) fn is_durable(self) -> bool {
        self == Self::Db
    }
}

impl FromStr for Backend {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut all = Self::ALL.into_iter();
        all.find(|backend| backend.name() == text)
            .with_context(|| format!("there is no network `{text}`"))
    }
}

/// An interface of a container in a network. Written as `<network>/<container>/<interface>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attachment {
    pub(crate) network: Backend,
    pub(crate) container: String,
    pub(crate) ifname: String,
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = self.network.name();
        write!(f, "{network}/{}/{}", self.container, self.ifname)
    }
}

impl FromStr for Attachment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.split('/');
        let (Some(network), Some(container), Some(ifname), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            bail!("`{text}` is no attachment");
        };
        Ok(Self {
            network: network.parse()?,
            container: container.to_owned(),
            ifname: ifname.to_owned(),
        })
    }
}
