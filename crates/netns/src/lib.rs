//! Network namespaces: open ones, which of them it is, and running code inside.
//!
//! A path is looked up once. What is checked and what is entered is the open file ([`Netns`]), so a
//! path that leads elsewhere a moment later changes nothing.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use cni_types::Code;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};

/// The calling thread's own network namespace.
const CURRENT: &str = "/proc/thread-self/ns/net";

/// Why a network namespace could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetnsError {
    /// Nothing is there: the container is gone, or never was.
    #[error("network namespace {} does not exist", .0.display())]
    NotFound(PathBuf),
    /// Something else is there: a file that a namespace is no longer mounted on, or a namespace of
    /// another kind.
    #[error("{} is no network namespace", .0.display())]
    NotANetns(PathBuf),
    /// The process may not open or enter it.
    #[error("cannot use network namespace {}: {}: this needs \
        CAP_SYS_ADMIN", path.display(), errno.desc())]
    NotPermitted {
        /// The namespace.
        path: PathBuf,
        /// `EPERM` or `EACCES`.
        errno: Errno,
    },
    /// The kernel refused for another reason.
    #[error("cannot {action} network namespace {}: {}", path.display(), errno.desc())]
    Failed {
        /// What was tried.
        action: &'static str,
        /// The namespace.
        path: PathBuf,
        /// The kernel's reason.
        errno: Errno,
    },
    /// Nobody can say which namespace the thread is in, so nothing may be done in another one: it
    /// might be this one, and there would be no way back.
    #[error("cannot tell the plugin's own network namespace from {CURRENT}: {}: /proc must be \
        mounted", .0.desc())]
    NoHome(Errno),
    /// The thread is in a namespace that is not its own and cannot leave it. It must not do
    /// anything more that concerns the network, least of all undo what it did elsewhere.
    #[error("cannot come back from network namespace {}: {}: nothing more can be \
        done", path.display(), errno.desc())]
    Stranded {
        /// Where the thread still is.
        path: PathBuf,
        /// The kernel's reason.
        errno: Errno,
    },
}

impl NetnsError {
    fn new(action: &'static str, path: &Path, errno: Errno) -> Self {
        let path = path.to_owned();
        match errno {
            Errno::ENOENT => Self::NotFound(path),
            Errno::EPERM | Errno::EACCES => Self::NotPermitted { path, errno },
            // What setns(2) says to a namespace of another kind, and open(2) to a socket, to a path
            // without an end and to one through a file.
            Errno::EINVAL | Errno::ENXIO | Errno::ELOOP | Errno::ENAMETOOLONG | Errno::ENOTDIR => {
                Self::NotANetns(path)
            }
            _ => Self::Failed {
                action,
                path,
                errno,
            },
        }
    }
}

impl From<NetnsError> for cni_types::Error {
    fn from(error: NetnsError) -> Self {
        cni_types::Error::new(Code::INVALID_NETNS, error)
    }
}

/// An open network namespace. It lives at least as long as this value, whatever becomes of its
/// path.
#[derive(Debug)]
pub struct Netns {
    file: OwnedFd,
    path: PathBuf,
    id: NetnsId,
}

/// Which namespace it is, however it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetnsId {
    device: u64,
    inode: u64,
}

impl Netns {
    /// Opens a namespace by a path such as `/run/netns/x` or `/proc/4711/ns/net`.
    ///
    /// # Errors
    /// [`NetnsError::NotFound`], [`NetnsError::NotPermitted`], and [`NetnsError::NotANetns`] where
    /// the path leads to something else. A namespace of another kind is only found out by
    /// [`Netns::enter`].
    pub fn open(path: &Path) -> Result<Self, NetnsError> {
        let netns = Self::open_any(path)?;
        netns.require_nsfs()?;
        Ok(netns)
    }

    /// Opens a namespace, and the one that the calling thread is in.
    ///
    /// # Errors
    /// As [`Netns::open`] and [`Netns::current`].
    pub fn open_with_home(path: &Path) -> Result<(Self, Self), NetnsError> {
        let netns = Self::open_any(path)?;
        let home = Self::current()?;
        // All namespaces are on one device, as long as the kernel has a single nsfs.
        if netns.id.device != home.id.device {
            netns.require_nsfs()?;
        }
        Ok((netns, home))
    }

    /// Opens the namespace that the calling thread is in.
    ///
    /// # Errors
    /// [`NetnsError::NoHome`]: without `/proc`.
    pub fn current() -> Result<Self, NetnsError> {
        let path = Path::new(CURRENT);
        let (file, id) = open_file(path).map_err(NetnsError::NoHome)?;
        let path = path.to_owned();
        Ok(Self { file, path, id })
    }

    /// Opens whatever the path leads to.
    fn open_any(path: &Path) -> Result<Self, NetnsError> {
        let (file, id) = open_file(path).map_err(|errno| NetnsError::new("open", path, errno))?;
        let path = path.to_owned();
        Ok(Self { file, path, id })
    }

    /// Refuses what is no namespace of any kind.
    fn require_nsfs(&self) -> Result<(), NetnsError> {
        match fstatfs(&self.file) {
            Ok(filesystem) if filesystem.filesystem_type() == NSFS_MAGIC => Ok(()),
            Ok(_) => Err(NetnsError::NotANetns(self.path.clone())),
            Err(errno) => Err(NetnsError::new("open", &self.path, errno)),
        }
    }

    /// What tells it from other namespaces.
    pub fn id(&self) -> NetnsId {
        self.id
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a closure inside the namespace and comes back to `home`, the one that the calling
    /// thread is in.
    ///
    /// Other threads stay where they are. Sockets that are opened inside stay inside.
    ///
    /// # Errors
    /// The closure's; if the namespace cannot be entered; and [`NetnsError::Stranded`], instead of
    /// whatever the closure returned, if there is no way back.
    pub fn enter<T, E: From<NetnsError>>(
        &self,
        home: &Netns,
        inside: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if self.id == home.id {
            return inside();
        }
        setns(&self.file, CloneFlags::CLONE_NEWNET)
            .map_err(|errno| NetnsError::new("enter", &self.path, errno))?;
        let visit = Visit {
            home,
            is_over: false,
        };
        let done = inside();
        visit.end().map_err(|errno| NetnsError::Stranded {
            path: self.path.clone(),
            errno,
        })?;
        done
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Being in another namespace. A panic inside ends it too.
struct Visit<'a> {
    home: &'a Netns,
    is_over: bool,
}

impl Visit<'_> {
    fn end(mut self) -> Result<(), Errno> {
        self.is_over = true;
        setns(&self.home.file, CloneFlags::CLONE_NEWNET)
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = setns(&self.home.file, CloneFlags::CLONE_NEWNET);
        }
    }
}

fn open_file(path: &Path) -> nix::Result<(OwnedFd, NetnsId)> {
    // Opening a FIFO would wait for its writer.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = loop {
        match open(path, flags, Mode::empty()) {
            Err(Errno::EINTR) => {}
            opened => break opened?,
        }
    };
    let stat = fstat(&file)?;
    #[allow(
        clippy::useless_conversion,
        reason = "the types differ between architectures"
    )]
    let id = NetnsId {
        device: stat.st_dev.into(),
        inode: stat.st_ino.into(),
    };
    Ok((file, id))
}
