//! Locks that the plugins' processes in one network namespace share.

use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;

/// The timeout for a lock. The kernel releases the lock of a process that ends, so the timeout only
/// matters if the holder is stopped.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The pause of a process that finds the holder gone, or not yet listening.
const PAUSE: Duration = Duration::from_millis(1);

/// A lock of the calling thread's network namespace. It is held until this process and all programs
/// that inherited it have ended.
///
/// The lock is a listening socket with an abstract name (unix(7)). A network namespace has one
/// socket of a name, just as it has one ruleset; nothing is left on disk; and the kernel removes
/// the socket with the last process that has it. The holder never accepts a connection: one that
/// waits ends with the holder's socket, so a process that waits for the lock reads from its
/// connection.
#[derive(Debug)]
pub(crate) struct NamespaceLock(Option<UnixListener>);

impl NamespaceLock {
    /// Waits for the lock of a name. After [`TIMEOUT`], or if another user's process has the name,
    /// the work goes on without the lock.
    ///
    /// # Errors
    /// If the kernel gives no socket.
    pub(crate) fn take(name: &str) -> io::Result<Self> {
        let address = address(name)?;
        let give_up = Instant::now() + TIMEOUT;
        loop {
            match UnixListener::bind_addr(&address) {
                Ok(socket) => return Ok(Self(Some(socket))),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Self(None));
            }
            match UnixStream::connect_addr(&address) {
                Ok(connection) if is_of_this_user(&connection) => await_end(connection, left)?,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => sleep(PAUSE),
                Ok(_) | Err(_) => return Ok(Self(None)),
            }
        }
    }

    /// Takes the lock of a name if another process has it; `None` if it is free.
    ///
    /// # Errors
    /// As [`NamespaceLock::take`].
    pub(crate) fn take_if_held(name: &str) -> io::Result<Option<Self>> {
        match UnixStream::connect_addr(&address(name)?) {
            Ok(_) => Self::take(name).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The descriptor that programs inherit.
    pub(crate) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }
}

fn address(name: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("twill/{name}"))
}

/// Whether the other end is a process of this process's user. Every process of the namespace may
/// take the name, those of containers in the node's namespace too.
fn is_of_this_user(connection: &UnixStream) -> bool {
    getsockopt(connection, PeerCredentials).is_ok_and(|peer| peer.uid() == geteuid().as_raw())
}

/// Waits until the listening socket of a connection is gone.
fn await_end(mut connection: UnixStream, timeout: Duration) -> io::Result<()> {
    connection.set_read_timeout(Some(timeout))?;
    // The holder sends nothing: the read ends with a reset, or with the timeout.
    drop(connection.read(&mut [0]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    fn unique(name: &str) -> String {
        format!("test/{name}/{}", std::process::id())
    }

    #[test]
    fn one_at_a_time_holds_a_lock() {
        let name = unique("one");
        let holders = AtomicUsize::new(0);
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..50 {
                        let lock = NamespaceLock::take(&name).unwrap();
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        assert!(lock.as_fd().is_some());
                        assert_eq!(holders.fetch_sub(1, Ordering::SeqCst), 1);
                    }
                });
            }
        });
    }

    #[test]
    fn a_free_lock_is_not_taken() {
        let name = unique("free");
        assert!(NamespaceLock::take_if_held(&name).unwrap().is_none());
        drop(NamespaceLock::take(&name).unwrap());
        assert!(NamespaceLock::take_if_held(&name).unwrap().is_none());
    }

    #[test]
    fn a_held_lock_is_waited_for() {
        let name = unique("held");
        let first = NamespaceLock::take(&name).unwrap();
        thread::scope(|scope| {
            let second = scope.spawn(|| NamespaceLock::take_if_held(&name).unwrap());
            sleep(Duration::from_millis(50));
            assert!(!second.is_finished());
            drop(first);
            let second = second.join().unwrap();
            assert!(second.is_some_and(|lock| lock.as_fd().is_some()));
        });
    }
}
