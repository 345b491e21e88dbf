//! Standard input and output, which may be set not to block by whoever has them open too.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{read, write};

/// How much is read at a time, in bytes.
const CHUNK: usize = 16 << 10;

/// Reads to the end, but no more than about `limit` bytes.
///
/// # Errors
/// Those of read(2); [`ErrorKind::FileTooLarge`].
pub(crate) fn read_all(stream: impl AsFd, limit: usize) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut chunk = [0; CHUNK];
    loop {
        match read(&stream, &mut chunk) {
            Ok(0) => return Ok(all),
            Ok(count) => all.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(errno) => wait(&stream, PollFlags::POLLIN, errno)?,
        }
        if all.len() > limit {
            return Err(ErrorKind::FileTooLarge.into());
        }
    }
}

/// Writes everything.
///
/// # Errors
/// Those of write(2).
pub(crate) fn write_all(stream: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(&stream, bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(errno) => wait(&stream, PollFlags::POLLOUT, errno)?,
        }
    }
    Ok(())
}

/// Waits where it helps to try again, and returns the error where it does not.
fn wait(stream: &impl AsFd, event: PollFlags, errno: Errno) -> io::Result<()> {
    match errno {
        Errno::EINTR => Ok(()),
        Errno::EAGAIN => {
            let mut waiting = [PollFd::new(stream.as_fd(), event)];
            match poll(&mut waiting, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => Ok(()),
                Err(errno) => Err(errno.into()),
            }
        }
        errno => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    /// Each end waits for the other one, and neither blocks in the kernel.
    #[test]
    fn what_is_not_ready_is_waited_for() {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        let sent = b"0123456789".repeat(200_000);
        thread::scope(|scope| {
            let received = scope.spawn(|| read_all(&far, sent.len()).unwrap());
            write_all(&near, &sent).unwrap();
            near.shutdown(std::net::Shutdown::Both).unwrap();
            assert!(received.join().unwrap() == sent);
        });
    }

    #[test]
    fn there_is_a_limit() {
        let zeros = std::fs::File::open("/dev/zero").unwrap();
        let error = read_all(zeros, 100_000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        let full = std::fs::File::options().write(true).open("/dev/full");
        let error = write_all(full.unwrap(), b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
}
