//! System calls without a safe function in `std` or `nix`.

#![expect(
    unsafe_code,
    reason = "std and nix have no safe fork(2), and their execve(2) allocates"
)]

use std::ffi::{CStr, CString, c_char, c_uint};
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{ForkResult, Pid};

/// The number of descriptors that are closed one by one on a kernel without close_range(2) (before
/// 5.9).
const DESCRIPTORS: c_uint = 4096;

/// Runs `work` in a copy of this process, and ends the copy. No other code of the parent runs in
/// the copy, not even after a panic.
///
/// A lock that another thread holds stays locked in the copy, so `work` must only make system calls
/// and must not allocate.
pub(crate) fn fork(work: impl FnOnce()) -> nix::Result<Pid> {
    // SAFETY: `work` belongs to this crate, and makes only async-signal-safe calls.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let _panics_end_too = End;
            work();
            end()
        }
    }
}

fn end() -> ! {
    // SAFETY: _exit(2) touches no memory.
    unsafe { libc::_exit(0) }
}

struct End;

impl Drop for End {
    fn drop(&mut self) {
        end()
    }
}

/// Strings in the form that execve(2) takes: pointers, the last of which is null.
#[derive(Debug)]
pub(crate) struct Strings<'a>(Vec<*const c_char>, PhantomData<&'a CString>);

impl<'a> Strings<'a> {
    pub(crate) fn new(strings: &'a [CString]) -> Self {
        let pointers = strings.iter().map(|string| string.as_ptr());
        Self(pointers.chain([ptr::null()]).collect(), PhantomData)
    }
}

/// Executes a program in this process. Returns only if that fails.
pub(crate) fn execve(program: &CStr, arguments: &Strings<'_>, environment: &Strings<'_>) -> Errno {
    // SAFETY: all strings outlive the call, and both arrays end with a null pointer.
    unsafe {
        libc::execve(
            program.as_ptr(),
            arguments.0.as_ptr(),
            environment.0.as_ptr(),
        )
    };
    Errno::last()
}

/// Waits for the end of a child, and returns its status in the form of wait(2).
pub(crate) fn wait(child: Pid) -> nix::Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes nothing but this number.
        match Errno::result(unsafe { libc::waitpid(child.as_raw(), &mut status, 0) }) {
            Err(Errno::EINTR) => {}
            waited => return waited.map(|_| status),
        }
    }
}

/// Restores the default action of SIGPIPE, which Rust's runtime ignores. A program inherits ignored
/// signals.
pub(crate) fn reset_sigpipe() {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Closes every descriptor but one. Only for a closure of [`fork`]: no other code of that process
/// uses the descriptors.
pub(crate) fn close_all_but(kept: BorrowedFd<'_>) {
    let kept = kept.as_raw_fd().unsigned_abs();
    let below = kept.checked_sub(1).map(|last| (0, last));
    for (first, last) in below.into_iter().chain([(kept + 1, c_uint::MAX)]) {
        // SAFETY: the descriptors' owners are in another process.
        if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == -1 {
            close_each(first, last);
        }
    }
}

/// As [`close_all_but`] for a range, one descriptor after another.
fn close_each(first: c_uint, last: c_uint) {
    for descriptor in first..=last.min(DESCRIPTORS - 1) {
        // SAFETY: as in `close_all_but`.
        unsafe { libc::close(descriptor as libc::c_int) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    /// The number of descriptors that a child has open after it has run `close`, which keeps one
    /// end of a pipe.
    fn open_after(close: impl Fn(BorrowedFd<'_>)) -> usize {
        let (read_end, mut write_end) = std::io::pipe().unwrap();
        let child = fork(|| {
            close(read_end.as_fd());
            // The child ends once the pipe has something to read.
            let _ = nix::unistd::read(&read_end, &mut [0]);
        })
        .unwrap();
        let directory = format!("/proc/{child}/fd");
        let count = || std::fs::read_dir(&directory).unwrap().count();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while count() > 1 && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        let count = count();
        write_end.write_all(b".").unwrap();
        assert_eq!(wait(child), Ok(0));
        count
    }

    #[test]
    fn close_all_but_leaves_one_descriptor() {
        assert_eq!(open_after(close_all_but), 1);
    }

    #[test]
    fn closing_one_by_one_leaves_one_descriptor() {
        let close = |kept: BorrowedFd<'_>| {
            let kept = kept.as_raw_fd().unsigned_abs();
            close_each(0, kept - 1);
            close_each(kept + 1, c_uint::MAX);
        };
        assert_eq!(open_after(close), 1);
    }

    #[test]
    fn no_code_of_the_parent_runs_in_a_child_that_panics() {
        let child = fork(|| panic!("this is the test's")).unwrap();
        assert_eq!(wait(child), Ok(0));
    }
}
