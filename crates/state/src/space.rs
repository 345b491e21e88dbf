//! Allocating room on the disk before it is written to.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc::off_t;

/// Makes a file longer and allocates blocks for the new zeros, so that a full disk does not prevent
/// later writes there. A file system that cannot allocate blocks ahead, such as NFSv3 or ZFS,
/// leaves a hole.
///
/// # Errors
/// Those of fallocate(2) and ftruncate(2); the file has its former length then.
pub fn grow(file: &File, from: u64, to: u64) -> io::Result<()> {
    let signed = |number: u64| off_t::try_from(number).map_err(|_| Errno::EFBIG);
    let (start, length) = (signed(from)?, signed(to.saturating_sub(from))?);
    // A kill between the two calls leaves the file's length as it was.
    match fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, start, length) {
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => file.set_len(to),
        Err(error) => {
            // Frees the blocks that were allocated before the disk was full.
            let _ = file.set_len(from);
            Err(error.into())
        }
    }
}
