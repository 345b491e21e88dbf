//! Closes a file without waiting for the kernel to release it.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair,
};

/// Lets the kernel's garbage collector close a file. If the caller closes its own descriptor of the
/// file first, and the returned one after that, neither close(2) waits.
///
/// The returned descriptor is of a Unix socket whose queue contains a message with two files: the
/// given one, and the Unix socket itself. Once the last descriptor is closed, nobody can receive
/// the message any more. The kernel has a garbage collector for such sockets, which runs at the
/// next close(2) of a Unix socket, so at this one, and releases both files. Since Linux 6.9 it is a
/// thread of the kernel; before, it works within close(2), which then takes as long as without it.
///
/// # Errors
/// If the kernel gives no Unix sockets.
pub(crate) fn leave_to_collector(file: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let close_on_exec = SockFlag::SOCK_CLOEXEC;
    let (queue, sender) = socketpair(AddressFamily::Unix, SockType::Stream, None, close_on_exec)?;
    let files = [file.as_raw_fd(), queue.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&files)];
    sendmsg::<()>(
        sender.as_raw_fd(),
        &[IoSlice::new(b".")],
        &message,
        MsgFlags::empty(),
        None,
    )?;
    Ok(queue)
}
