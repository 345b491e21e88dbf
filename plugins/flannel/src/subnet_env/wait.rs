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

/// The largest number of symbolic links that are followed on the way to the file.
const MAX_LINKS: usize = 8;

/// Reads the lease from a file. Waits if flanneld has not written it yet, or not all of it.
///
/// # Errors
/// As [`super::read`], from the last attempt after `timeout`.
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

/// Whether another attempt may succeed once flanneld has written the file.
fn may_pass(outcome: &Result<Reading, LeaseError>) -> bool {
    match outcome {
        Ok(reading) => reading.is_cut_off,
        Err(error) => error.may_pass(),
    }
}

/// Reads the file again after each change.
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
        // A change while the watches are being set may have no watch yet. Once two rounds set the
        // same watches, the second round has seen every earlier change, and every later change is
        // an event.
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

/// A watched directory, and the events that are watched for.
type Watch = (WatchDescriptor, AddWatchFlags);

/// Watches every existing directory on the way to the file: whether it is moved or removed, and
/// whether the next name in it changes if that name is missing, a symbolic link or the file's.
fn watch(inotify: &Inotify, file: &Path) -> io::Result<Vec<Watch>> {
    let itself = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
    let names = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_MODIFY;
    // One directory may be watched for several reasons.
    let also = AddWatchFlags::from_bits_retain(IN_MASK_ADD);
    let mut watched = Vec::new();
    // The next round detects a directory that has been removed meanwhile.
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
        // An absolute path starts at the root.
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

/// Waits for an event or the end of the time.
fn wait_for_event(inotify: &Inotify, left: Duration) -> io::Result<()> {
    // Rounded up, because a timeout of 0 would spin through the last millisecond.
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
