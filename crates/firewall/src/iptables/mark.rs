use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long others are waited for, and how often is looked. They end with their plugin, so this is over at once, unless
/// somebody has taken the name who has nothing to do with it: then this is all the harm that is done.
const TIMEOUT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(2);

/// Says that a container's chain is being worked on, for as long as this process lives and any program that it has started
/// with it: a program that is killed along with its plugin may be in the middle of a change, which the kernel completes,
/// and a DEL that follows must find it.
///
/// It is a socket with an abstract name (unix(7)): there is one of a name in a network namespace, just as there is one chain,
/// nothing is left on disk, and the kernel removes it with the last process that has it.
#[derive(Debug)]
pub(crate) struct Mark(Option<UnixDatagram>);

impl Mark {
    /// Waits until nobody works on a chain. After [`TIMEOUT`] the work goes on without a mark.
    pub(crate) fn set(chain: &str) -> io::Result<Self> {
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

    /// What programs keep open.
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }
}
