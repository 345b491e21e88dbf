//! Standard input and output. Another process that has a stream open may have made it non-blocking.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{read, write};

/// The number of bytes that one read(2) asks for. They are on the stack, where the first use of a
/// page costs as much as several system calls.
const CHUNK: usize = 4 << 10;

/// Reads a stream to its end.
///
/// # Errors
/// Those of read(2); [`ErrorKind::FileTooLarge`] after more than `limit` bytes.
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

/// Writes all bytes.
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

/// Waits until the call can be repeated, or returns an error that a repetition would not solve.
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

    /// Both ends are non-blocking, and each has to wait for the other.
    #[test]
    fn non_blocking_streams_are_waited_for() {
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
    fn reading_stops_at_the_limit_and_writing_reports_a_full_disk() {
        let zeros = std::fs::File::open("/dev/zero").unwrap();
        let error = read_all(zeros, 100_000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        let full = std::fs::File::options().write(true).open("/dev/full");
        let error = write_all(full.unwrap(), b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
}
