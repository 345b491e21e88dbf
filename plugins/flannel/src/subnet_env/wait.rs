//! Waiting for flanneld to write the lease.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cni_plugin::Log;
use nix::errno::Errno;
use nix::libc::IN_MASK_ADD;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::{Lease, LeaseError, Reading, look};

/// How many symbolic links are followed on the way to the file.
const MAX_LINKS: usize = 8;

/// Reads the lease from a file; if flanneld has not written it yet, or not all of it, waits until
/// it has.
///
/// # Errors
/// As [`super::read`], of the last look after `timeout`.
pub(crate) fn read_or_wait(file: &Path, timeout: Duration, log: &Log) -> Result<Lease, LeaseError> {
    let outcome = match look(file) {
        outcome if timeout.is_zero() || !may_pass(&outcome) => outcome,
        outcome => {
            match &outcome {
                Ok(_) => log.info(format_args!(
                    "{}: the last line has no end; waiting for {timeout:?}",
                    file.display()
                )),
                Err(error) => log.info(format_args!("{error}; waiting for {timeout:?}")),
            }
            wait(file, timeout).unwrap_or_else(|failure| {
                log.error(format_args!(
                    "cannot wait for {}: {failure}",
                    file.display()
                ));
                outcome
            })
        }
    };
    Ok(outcome?.settle(file, log))
}

/// Whether another look may find something else as soon as flanneld has written the file.
fn may_pass(outcome: &Result<Reading, LeaseError>) -> bool {
    match outcome {
        Ok(reading) => reading.is_cut_off,
        Err(error) => error.may_pass(),
    }
}

/// Looks at the file again whenever something changes about it.
fn wait(file: &Path, timeout: Duration) -> io::Result<Result<Reading, LeaseError>> {
    let give_up = Instant::now().checked_add(timeout);
    let left = || {
        give_up.map_or(Duration::MAX, |give_up| {
            give_up.saturating_duration_since(Instant::now())
        })
    };
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let mut watched = Vec::new();
    loop {
        // What changes while the watches are set may have no watch yet. Once they are the same
        // twice, whatever changed before the second time was seen by it, and whatever changes later
        // is an event.
        loop {
            let now = watch(&inotify, file)?;
            let is_settled = now == watched;
            watched = now;
            if is_settled || left().is_zero() {
                break;
            }
        }
        // After the watches, so that no change is missed.
        let outcome = look(file);
        if !may_pass(&outcome) {
            return Ok(outcome);
        }
        let left = left();
        if left.is_zero() {
            return Ok(outcome);
        }
        wait_for_event(&inotify, left)?;
    }
}

/// A directory that is watched, and for what.
type Watch = (WatchDescriptor, AddWatchFlags);

/// Watches every directory on the way to the file, as far as there is one: for being moved or
/// removed itself, and for a name in it if that is missing, a symbolic link or the file's.
fn watch(inotify: &Inotify, file: &Path) -> io::Result<Vec<Watch>> {
    let itself = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
    let names = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_MODIFY;
    // One directory may be watched for several reasons.
    let also = AddWatchFlags::from_bits_retain(IN_MASK_ADD);
    let mut watched = Vec::new();
    // One that is gone by now is seen to be gone the next time.
    let mut add = |directory: &Path, events| match inotify.add_watch(directory, events | also) {
        Ok(descriptor) => {
            watched.push((descriptor, events));
            Ok(())
        }
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(()),
        Err(error) => Err(io::Error::from(error)),
    };

    let mut directory = PathBuf::from(".");
    let mut ahead = components(file);
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        // The root takes the place of what is before it.
        let path = directory.join(name);
        if let Ok(target) = fs::read_link(&path) {
            add(&directory, names)?;
            links += 1;
            if links > MAX_LINKS {
                break;
            }
            ahead.extend(components(&target));
        } else if !ahead.is_empty() && path.is_dir() {
            add(&path, itself)?;
            directory = path;
        } else {
            add(&directory, names)?;
            break;
        }
    }
    Ok(watched)
}

/// The components of a path, the first one last.
fn components(path: &Path) -> Vec<OsString> {
    let components = path.components().rev();
    components
        .map(|component| component.as_os_str().to_owned())
        .collect()
}

/// Waits until something has happened, or the time is over.
fn wait_for_event(inotify: &Inotify, left: Duration) -> io::Result<()> {
    // Rounded up, or it would spin through the last millisecond.
    let timeout = u16::try_from(left.as_millis().saturating_add(1)).unwrap_or(u16::MAX);
    let mut polled = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)];
    match poll(&mut polled, PollTimeout::from(timeout)) {
        Ok(0) | Err(Errno::EINTR) => return Ok(()),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    match inotify.read_events() {
        Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
