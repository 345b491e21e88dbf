//! The container's namespace, opened once.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use cni_types::{Code, Error, Quoted};
use netns::{Netns, NetnsError};

/// The file that `CNI_NETNS` leads to.
///
/// The path is resolved once per process. The plugin and its in-process delegates enter the same
/// open namespace that was compared with the plugin's own, even if the path leads elsewhere by
/// then.
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
    /// Opens a path. A failure becomes an error only for a plugin that needs the namespace, in
    /// [`ContainerNetns::open_pair`].
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

    /// The value of `CNI_NETNS`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path for the key `sandbox` of results.
    ///
    /// # Errors
    /// Code 4 for a path that is not UTF-8: JSON cannot express it, and a path with replacement
    /// characters would be a different path.
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

    /// The container's namespace, and the namespace that the plugin is in.
    ///
    /// # Errors
    /// Why the namespace could not be opened.
    pub fn open_pair(&self) -> Result<(Rc<Netns>, Rc<Netns>), NetnsError> {
        match &self.opened {
            Ok(Opened { netns, home }) => Ok((netns.clone(), home.clone())),
            Err(error) => Err(error.clone()),
        }
    }

    /// Whether the path leads to the plugin's own namespace, which is not a container's.
    pub(crate) fn is_own(&self) -> bool {
        let is_own = |opened: &Opened| opened.netns.id() == opened.home.id();
        self.opened.as_ref().is_ok_and(is_own)
    }

    /// Whether the path does not exist.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.opened, Err(NetnsError::NotFound(_)))
    }

    /// Whether the path leads to something that is not a namespace, such as a file on which a
    /// namespace was mounted before a reboot.
    pub(crate) fn is_something_else(&self) -> bool {
        matches!(self.opened, Err(NetnsError::NotANetns(_)))
    }

    /// Refuses the plugin's own namespace. A path that does not exist is accepted, because an IPAM
    /// plugin does not need the namespace.
    ///
    /// # Errors
    /// Code 8 for the plugin's own namespace, and if the plugin's own namespace cannot be
    /// determined.
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
    fn only_the_plugins_own_namespace_is_refused() {
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
