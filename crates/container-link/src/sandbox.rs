//! The container's network namespace and a socket in it.

use std::path::PathBuf;
use std::rc::Rc;

use cni_plugin::ContainerNetns;
use cni_types::{Code, Error, IfName};
use netlink::{NetlinkError, Netns, NetnsError, Rtnetlink};

/// A container's network namespace, together with the way back from it.
#[derive(Debug)]
pub struct Sandbox {
    netns: Rc<Netns>,
    home: Rc<Netns>,
}

impl Sandbox {
    /// The namespace of `CNI_NETNS`, and a socket inside.
    ///
    /// # Errors
    /// Code 8 if there is no namespace there, or it may not be entered.
    pub fn open(netns: &ContainerNetns) -> Result<(Self, Rtnetlink), NetlinkError> {
        let (netns, home) = netns.open_pair()?;
        let sandbox = Self { netns, home };
        let inside = Rtnetlink::open_in(&sandbox.netns, &sandbox.home)?;
        Ok((sandbox, inside))
    }

    /// As [`Sandbox::open`], for DEL: `None` where nothing is left of the namespace.
    ///
    /// # Errors
    /// As [`Sandbox::open`], of a namespace that is there.
    pub fn open_if_any(
        netns: Option<&ContainerNetns>,
    ) -> Result<Option<(Self, Rtnetlink)>, NetlinkError> {
        match netns.map(Self::open) {
            None => Ok(None),
            // A namespace of another kind is only found out here.
            Some(Err(NetlinkError::Netns(NetnsError::NotFound(_) | NetnsError::NotANetns(_)))) => {
                Ok(None)
            }
            Some(opened) => opened.map(Some),
        }
    }

    /// The namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The namespace of the node, which the thread is in.
    pub fn home(&self) -> &Netns {
        &self.home
    }

    /// Runs a closure inside, for what is no netlink.
    ///
    /// # Errors
    /// The closure's; if the namespace cannot be entered or left.
    pub fn enter<T, E: From<NetnsError>>(
        &self,
        inside: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.netns.enter(&self.home, inside)
    }
}

/// The container has such an interface already, so the ADD is one too many, or another plugin was
/// there before.
#[derive(Debug, thiserror::Error)]
#[error("CNI_IFNAME {ifname}: container {} has an interface of this name already", netns.display())]
pub struct IfnameTaken {
    /// `CNI_IFNAME`.
    pub ifname: IfName,
    /// `CNI_NETNS`.
    pub netns: PathBuf,
}

impl From<IfnameTaken> for Error {
    fn from(error: IfnameTaken) -> Self {
        Error::new(Code::INVALID_ENVIRONMENT, error)
    }
}
