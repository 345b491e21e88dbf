use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cni_plugin::Log;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::{Lease, LeaseError, Reading, look};

/// How many symbolic links are followed on the way to the file.
const MAX_LINKS: usize = 8;

/// Reads the lease from a file; if flanneld has not written it yet, or not all of it, waits until it has.
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
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    loop {
        // Before the look, so that no change is missed; and anew each time, as a folder may have come or gone.
        watch(&inotify, file)?;
        let outcome = look(file);
        if !may_pass(&outcome) {
            return Ok(outcome);
        }
        let left = give_up.map_or(Duration::MAX, |give_up| {
            give_up.saturating_duration_since(Instant::now())
        });
        if left.is_zero() {
            return Ok(outcome);
        }
        wait_for_event(&inotify, left)?;
    }
}

/// Watches the folders in which the file can appear: its own, or as much of the way there as exists; the same again for
/// what is a symbolic link on that way, be it the file itself or a folder that is not there yet.
fn watch(inotify: &Inotify, file: &Path) -> io::Result<()> {
    let events = AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF;
    let mut names = vec![file.to_owned()];
    for _ in 0..=MAX_LINKS {
        let Some(name) = names.pop() else { break };
        names.extend(link_target(&name));
        for folder in name.ancestors().skip(1) {
            let folder = if folder.as_os_str().is_empty() {
                Path::new(".")
            } else {
                folder
            };
            match inotify.add_watch(folder, events) {
                Ok(_) => break,
                Err(Errno::ENOENT) => names.extend(link_target(folder)),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

fn link_target(file: &Path) -> Option<PathBuf> {
    let target = fs::read_link(file).ok()?;
    Some(file.parent()?.join(target))
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
