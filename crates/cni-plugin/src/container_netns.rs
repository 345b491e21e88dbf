//! The container's namespace, opened once.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use cni_types::{Code, Error, Quoted};
use netns::{Netns, NetnsError};

/// What `CNI_NETNS` leads to.
///
/// The path is looked up once a process: the namespace that is compared with the plugin's own is
/// the one that the plugin enters, and so do the delegates that it calls in its process, even if
/// the path leads elsewhere by then.
#[derive(Clone, Debug)]
pub struct ContainerNetns {
    path: PathBuf,
    opened: Result<Opened, NetnsError>,
}

/// A container's namespace and the plugin's own.
#[derive(Clone, Debug)]
struct Opened {
    netns: Rc<Netns>,
    home: Rc<Netns>,
}

impl ContainerNetns {
    /// Opens what a path leads to. That this fails is an error only for a plugin that needs the
    /// namespace: see [`ContainerNetns::open_pair`].
    pub fn open(path: &Path) -> Self {
        let opened = Netns::open_with_home(path).map(|(netns, home)| Opened {
            netns: Rc::new(netns),
            home: Rc::new(home),
        });
        Self {
            path: path.to_owned(),
            opened,
        }
    }

    /// `CNI_NETNS` itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path as results name it (`sandbox`).
    ///
    /// # Errors
    /// Code 4: JSON cannot hold a path that is not UTF-8, and with other characters in it it would
    /// be another one.
    pub fn sandbox(&self) -> Result<&str, Error> {
        self.path.to_str().ok_or_else(|| {
            Error::new(
                Code::INVALID_ENVIRONMENT,
                format!(
                    "CNI_NETNS {} is not UTF-8, and a result cannot name it in JSON: give the \
                        namespace a path in UTF-8",
                    Quoted(&self.path.to_string_lossy())
                ),
            )
        })
    }

    /// The open namespace, and the one that the plugin is in.
    ///
    /// # Errors
    /// Why it could not be opened.
    pub fn open_pair(&self) -> Result<(Rc<Netns>, Rc<Netns>), NetnsError> {
        match &self.opened {
            Ok(Opened { netns, home }) => Ok((netns.clone(), home.clone())),
            Err(error) => Err(error.clone()),
        }
    }

    /// Whether it is the plugin's own namespace: the plugin would take the node for the container.
    pub(crate) fn is_own(&self) -> bool {
        let is_own = |opened: &Opened| opened.netns.id() == opened.home.id();
        self.opened.as_ref().is_ok_and(is_own)
    }

    /// Whether nothing is at the path.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.opened, Err(NetnsError::NotFound(_)))
    }

    /// Whether something is at the path that is no namespace, such as the file that one was mounted
    /// on before a reboot.
    pub(crate) fn is_something_else(&self) -> bool {
        matches!(self.opened, Err(NetnsError::NotANetns(_)))
    }

    /// Refuses the plugin's own namespace.
    ///
    /// A path that leads nowhere is not refused here: an IPAM plugin does not need it.
    ///
    /// # Errors
    /// Code 8, also where nobody can say which namespace is the plugin's own.
    pub(crate) fn refuse_own(&self) -> Result<(), Error> {
        if let Err(error @ NetnsError::NoHome(_)) = &self.opened {
            return Err(error.clone().into());
        }
        if !self.is_own() {
            return Ok(());
        }
        let path = self.path.display();
        let error = Error::new(
            Code::INVALID_NETNS,
            format!("CNI_NETNS {path} is the plugin's own network namespace"),
        );
        Err(error.with_details("set CNI_NETNS_OVERRIDE=1 to allow it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &str) -> ContainerNetns {
        ContainerNetns::open(Path::new(path))
    }

    #[test]
    fn only_the_own_namespace_is_refused() {
        for path in ["/nowhere/at/all", "/dev/null", "/proc/self/ns/uts"] {
            assert_eq!(open(path).refuse_own(), Ok(()));
            assert!(!open(path).is_own());
        }
        assert!(open("/nowhere/at/all").is_missing() && open("/dev/null").is_something_else());
        let error = open("/proc/self/ns/net").refuse_own().unwrap_err();
        assert_eq!(
            (error.code, error.msg.as_str()),
            (
                Code::INVALID_NETNS,
                "CNI_NETNS /proc/self/ns/net is the plugin's own network namespace"
            )
        );
    }
}
