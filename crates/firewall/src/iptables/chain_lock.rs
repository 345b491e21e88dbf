//! The lock on a container's chain of iptables.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The timeout for the lock, and the pause between two attempts. The programs of a killed plugin
/// end at once, so the timeout only matters if an unrelated process has taken the name.
const TIMEOUT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(2);

/// The lock on a container's chain. It is held until this process and all programs that inherited
/// it have ended. A program that is killed along with its plugin may be in the middle of a change,
/// which the kernel completes; a DEL that follows has to find the result.
///
/// The lock is a socket with an abstract name (unix(7)). A network namespace has one socket of a
/// name, just as it has one chain; nothing is left on disk; and the kernel removes the socket with
/// the last process that has it.
#[derive(Debug)]
pub(crate) struct ChainLock(Option<UnixDatagram>);

impl ChainLock {
    /// Waits for the lock. After [`TIMEOUT`], the work goes on without it.
    ///
    /// # Errors
    /// If the kernel gives no socket.
    pub(crate) fn take(chain: &str) -> io::Result<Self> {
        let address = SocketAddr::from_abstract_name(format!("twill/iptables/{chain}"))?;
        let give_up = Instant::now() + TIMEOUT;
        loop {
            match UnixDatagram::bind_addr(&address) {
                Ok(socket) => return Ok(Self(Some(socket))),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= give_up {
                return Ok(Self(None));
            }
            sleep(PAUSE);
        }
    }

    /// The descriptor that programs inherit.
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }
}
