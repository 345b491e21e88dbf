//! Bounded reads that never wait.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

/// The size of the first read of a file that does not report its size, in bytes.
const FIRST_READ: usize = 4096;

/// The flags with which opening a FIFO does not wait for the other end, and opening a terminal does
/// not make it the controlling one.
pub(crate) const NEVER_WAIT: OFlag = OFlag::O_NONBLOCK
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

/// Reads a file that somebody else has written, such as a lease: all of it, but at most `limit`
/// bytes. Neither a FIFO nor a device makes the caller wait; symbolic links are followed.
///
/// # Errors
/// Those of open(2) and read(2); [`ErrorKind::FileTooLarge`] for more than `limit` bytes; an error
/// for a FIFO, whatever is in it.
pub fn read_bounded(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let contents = read_beginning(path, limit.saturating_add(1))?;
    if contents.len() > limit {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(contents)
}

/// As [`read_bounded`], but ignores what follows the first `limit` bytes.
///
/// # Errors
/// Those of open(2) and read(2); an error for a FIFO, whatever is in it.
pub fn read_beginning(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    // musl's open(2) makes another system call for `O_CLOEXEC`.
    let flags = OFlag::O_RDONLY | NEVER_WAIT;
    let file = openat(AT_FDCWD, path, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    if kind(&stat) == SFlag::S_IFIFO {
        return Err(io::Error::other("it is a FIFO"));
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    read_start(file.into(), size, limit)
}

/// Whether a file is a regular one.
pub(crate) fn is_regular(stat: &FileStat) -> bool {
    kind(stat) == SFlag::S_IFREG
}

/// The file type of a file.
pub(crate) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// Reads the first `limit` bytes of a file that reports a size, with as few calls as possible.
pub(crate) fn read_start(mut file: File, size: u64, limit: usize) -> io::Result<Vec<u8>> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    // One byte more than the file should have, since only a short read has seen the end.
    let first = match size {
        0 => FIRST_READ,
        size => size.saturating_add(1),
    };
    let mut contents = vec![0; first.min(limit)];
    let mut length = 0;
    loop {
        if length == contents.len() {
            if length == limit {
                break;
            }
            contents.resize(length.saturating_mul(2).min(limit), 0);
        }
        match file.read(contents.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        // A file without a size, as in procfs, may come in pieces.
        if size > 0 && length < contents.len() {
            break;
        }
    }
    contents.truncate(length);
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn all_of_a_file_up_to_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for size in [0, 1, 511, 512, 4096, 10_000] {
            let contents = vec![b'x'; size];
            fs::write(&path, &contents).unwrap();
            assert_eq!(read_bounded(&path, 10_000).unwrap(), contents, "{size}");
        }
        let error = read_bounded(&path, 9_999).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(read_beginning(&path, 9_999).unwrap(), [b'x'; 9_999]);
        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(read_bounded(&link, 10_000).unwrap().len(), 10_000);
    }

    #[test]
    fn a_file_without_a_size_is_read_to_its_end() {
        let path = Path::new("/proc/self/maps");
        let contents = String::from_utf8(read_bounded(path, 1 << 20).unwrap()).unwrap();
        assert!(contents.len() > 512 && contents.ends_with('\n'));
        assert!(contents.contains("[stack]"), "{contents}");
    }

    #[test]
    fn nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let error = read_bounded(&fifo, 10).unwrap_err();
        assert_eq!(error.to_string(), "it is a FIFO");
        assert_eq!(read_bounded(Path::new("/dev/null"), 10).unwrap(), b"");
        let error = read_bounded(Path::new("/dev/zero"), 10_000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        let error = read_bounded(directory.path(), 10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
    }
}
