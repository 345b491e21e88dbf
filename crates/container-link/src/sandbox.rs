//! The container's network namespace and a socket in it.

use std::path::PathBuf;
use std::rc::Rc;

use cni_plugin::ContainerNetns;
use cni_types::{Code, Error, IfName};
use netlink::{NetlinkError, Netns, NetnsError, Rtnetlink};

/// A container's network namespace, and the node's, to return to.
#[derive(Debug)]
pub struct Sandbox {
    netns: Rc<Netns>,
    home: Rc<Netns>,
}

impl Sandbox {
    /// Opens the namespace of `CNI_NETNS`, and a socket inside.
    ///
    /// # Errors
    /// Code 8 if the path does not lead to a namespace, or the plugin may not enter it.
    pub fn open(netns: &ContainerNetns) -> Result<(Self, Rtnetlink), NetlinkError> {
        let (netns, home) = netns.open_pair()?;
        let sandbox = Self { netns, home };
        let inside = Rtnetlink::open_in(&sandbox.netns, &sandbox.home)?;
        Ok((sandbox, inside))
    }

    /// As [`Sandbox::open`], for DEL: `None` if the namespace is gone.
    ///
    /// # Errors
    /// As [`Sandbox::open`] for an existing namespace.
    pub fn open_if_any(
        netns: Option<&ContainerNetns>,
    ) -> Result<Option<(Self, Rtnetlink)>, NetlinkError> {
        match netns.map(Self::open) {
            None => Ok(None),
            // Only entering detects a namespace of another kind.
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

    /// The node's namespace, which the thread is in.
    pub fn home(&self) -> &Netns {
        &self.home
    }

    /// Runs a closure inside, for work without netlink.
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

/// The container has an interface of this name already: this is a repeated ADD, or another plugin
/// has created it.
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
