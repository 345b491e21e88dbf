//! Network namespaces: opening them, comparing them, and running code inside.
//!
//! A path is resolved once. Checks and entries use the open file ([`Netns`]), so it does not matter
//! if the path leads elsewhere a moment later.

mod mounted;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use cni_types::Code;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};
use nix::unistd::{getpid, gettid};

pub use mounted::{mounted, number_in};

/// The calling thread's own network namespace.
const CURRENT: &str = "/proc/thread-self/ns/net";

/// The same of a process's first thread. The kernel creates fewer directory entries for this path,
/// and a new process has none of them yet, so that it takes 28 instead of 36 µs to open.
const CURRENT_OF_FIRST_THREAD: &str = "/proc/self/ns/net";

/// An error of opening or entering a network namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetnsError {
    /// The path does not exist: the container is gone, or never existed.
    #[error("network namespace {} does not exist", .0.display())]
    NotFound(PathBuf),
    /// The path leads to something else: a file on which a namespace is no longer mounted, or a
    /// namespace of another kind.
    #[error("{} is no network namespace", .0.display())]
    NotANetns(PathBuf),
    /// The process is not permitted to open or enter the namespace.
    #[error("cannot use network namespace {}: {}: this needs \
        CAP_SYS_ADMIN", path.display(), errno.desc())]
    NotPermitted {
        /// The namespace.
        path: PathBuf,
        /// `EPERM` or `EACCES`.
        errno: Errno,
    },
    /// The kernel refuses for another reason.
    #[error("cannot {action} network namespace {}: {}", path.display(), errno.desc())]
    Failed {
        /// The attempted action: `open` or `enter`.
        action: &'static str,
        /// The namespace.
        path: PathBuf,
        /// The kernel's reason.
        errno: Errno,
    },
    /// The thread's own namespace cannot be determined. The thread must then not enter another one:
    /// it might be the same namespace, and the thread could not come back.
    #[error("cannot determine the plugin's own network namespace from {CURRENT}: {}{}", .0.desc(),
        hint(.0))]
    NoHome(Errno),
    /// The thread is in another namespace and cannot leave it. It must not change anything in the
    /// network any more, least of all roll back what it did in its own namespace.
    #[error("cannot come back from network namespace {}: {}: nothing more can be \
        done", path.display(), errno.desc())]
    Stranded {
        /// The namespace in which the thread still is.
        path: PathBuf,
        /// The kernel's reason.
        errno: Errno,
    },
}

/// Advice about an own namespace that cannot be determined.
fn hint(errno: &Errno) -> &'static str {
    match errno {
        Errno::ENOENT => ": /proc must be mounted",
        _ => "",
    }
}

impl NetnsError {
    fn new(action: &'static str, path: &Path, errno: Errno) -> Self {
        let path = path.to_owned();
        match errno {
            // ESRCH is of a path through a process that has just ended.
            Errno::ENOENT | Errno::ESRCH => Self::NotFound(path),
            Errno::EPERM | Errno::EACCES => Self::NotPermitted { path, errno },
            // setns(2) of a namespace of another kind; open(2) of a socket, of a circle of links,
            // of a path that is too long, and of a path through a file.
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

/// The container's namespace is the only one that a plugin opens by a path.
impl From<NetnsError> for cni_types::Error {
    fn from(error: NetnsError) -> Self {
        cni_types::Error::new(Code::INVALID_NETNS, format!("CNI_NETNS: {error}"))
    }
}

/// An open network namespace. The namespace exists at least as long as this value, even if its path
/// is removed.
#[derive(Debug)]
pub struct Netns {
    file: OwnedFd,
    path: PathBuf,
    id: NetnsId,
}

/// The identity of a namespace, which does not depend on the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetnsId {
    device: u64,
    inode: u64,
}

impl NetnsId {
    /// The number that the kernel shows for the namespace, as in `net:[4026531840]`.
    pub fn number(self) -> u64 {
        self.inode
    }
}

impl Netns {
    /// Opens a namespace by a path such as `/run/netns/x` or `/proc/4711/ns/net`.
    ///
    /// # Errors
    /// [`NetnsError::NotFound`], [`NetnsError::NotPermitted`], and [`NetnsError::NotANetns`] if the
    /// path leads to something else. Only [`Netns::enter`] detects a namespace of another kind.
    pub fn open(path: &Path) -> Result<Self, NetnsError> {
        let netns = Self::open_any(path)?;
        netns.require_nsfs()?;
        Ok(netns)
    }

    /// Opens a namespace, and the namespace that the calling thread is in.
    ///
    /// # Errors
    /// As [`Netns::open`] and [`Netns::current`].
    pub fn open_with_home(path: &Path) -> Result<(Self, Self), NetnsError> {
        let netns = Self::open_any(path)?;
        let home = Self::current()?;
        // The kernel has a single nsfs, so all namespaces are on one device.
        if netns.id.device != home.id.device {
            netns.require_nsfs()?;
        }
        Ok((netns, home))
    }

    /// Opens the namespace that the calling thread is in.
    ///
    /// # Errors
    /// [`NetnsError::NoHome`] without `/proc`.
    pub fn current() -> Result<Self, NetnsError> {
        let path = Path::new(if gettid() == getpid() {
            CURRENT_OF_FIRST_THREAD
        } else {
            CURRENT
        });
        let (file, id) = open_file(path).map_err(NetnsError::NoHome)?;
        let path = path.to_owned();
        Ok(Self { file, path, id })
    }

    /// Opens a path, whatever it leads to.
    fn open_any(path: &Path) -> Result<Self, NetnsError> {
        let (file, id) = open_file(path).map_err(|errno| NetnsError::new("open", path, errno))?;
        let path = path.to_owned();
        Ok(Self { file, path, id })
    }

    /// Refuses a file that is not a namespace of any kind.
    fn require_nsfs(&self) -> Result<(), NetnsError> {
        match fstatfs(&self.file) {
            Ok(filesystem) if filesystem.filesystem_type() == NSFS_MAGIC => Ok(()),
            Ok(_) => Err(NetnsError::NotANetns(self.path.clone())),
            Err(errno) => Err(NetnsError::new("open", &self.path, errno)),
        }
    }

    /// The identity of the namespace.
    pub fn id(&self) -> NetnsId {
        self.id
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a closure inside the namespace, and returns to `home`, the namespace that the calling
    /// thread is in.
    ///
    /// Other threads stay in their namespaces. A socket that is opened inside stays inside.
    ///
    /// # Errors
    /// The closure's error; [`NetnsError`] if the namespace cannot be entered; and
    /// [`NetnsError::Stranded`], instead of the closure's result, if the thread cannot return.
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

/// Two values are equal if they are the same namespace, even if they were opened by different
/// paths.
impl PartialEq for Netns {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Netns {}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A stay in another namespace. It ends with a panic too.
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

/// With openat(2), because musl's open(2) makes another system call for `O_CLOEXEC`.
fn open_file(path: &Path) -> nix::Result<(OwnedFd, NetnsId)> {
    // Without O_NONBLOCK, opening a FIFO would wait for a writer.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let mut was_refused = false;
    let file = loop {
        match openat(AT_FDCWD, path, flags, Mode::empty()) {
            Err(Errno::EINTR) => {}
            // Also if the path leads through a process that has just ended. Asked again, the kernel
            // says that the path does not exist.
            Err(Errno::EACCES) if !was_refused => was_refused = true,
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    /// The namespace of a process that ends is there, and then it is not.
    #[test]
    fn the_namespace_of_a_process_that_ends_is_not_found() {
        for _ in 0..200 {
            let mut process = Command::new("true").spawn().unwrap();
            let path = PathBuf::from(format!("/proc/{}/ns/net", process.id()));
            let reaper = std::thread::spawn(move || process.wait().unwrap());
            let error = loop {
                if let Err(error) = Netns::open(&path) {
                    break error;
                }
            };
            reaper.join().unwrap();
            assert_eq!(error, NetnsError::NotFound(path));
        }
    }
}
