//! The kept configurations: each attachment's delegate configuration, which ADD keeps for CHECK and
//! DEL.
//!
//! ```text
//! <dataDir>/<container id>                        of a container's first attachment
//! <dataDir>/.attachments/<container id>:<ifname>  of its further ones
//! ```
//!
//! The first file is in the Go plugin's format, which has one attachment per container. Twill's
//! files name their interface under a key that no plugin reads, `twill/ifname`; a file without it
//! is the Go plugin's and belongs to whichever attachment asks for it. If a container ID is too
//! long for a file name, a digest replaces its end, and the file contains the ID under
//! `twill/container`.
//!
//! GC compares the files' names, and opens none of a valid attachment. The name of a first file
//! does not contain the interface. If all first files are for [`USUAL_IFNAME`] or the Go plugin's,
//! GC creates an empty directory, `.only-eth0`, and later GCs rely on it.
//!
//! A configuration with which a call has failed contains the error under `twill/failure`, and the
//! number of failures under `twill/failures`.
//!
//! The directory is locked while a file is written or removed, never while a delegate runs.
//! Meanwhile the attachment is marked as in use, by a descriptor that the delegate and all
//! processes that it starts inherit: after a kill, DEL waits for the last of them.

mod kept;
mod names;
mod stale;

use std::path::Path;
use std::time::{Duration, Instant};

use cni_types::Attachment;
use cni_types::json::{self, Object};
use state::{Dir, InUse, Stamp, StateError, WriteGuard};

use self::kept::{CONTAINER, File, OWNER};
pub(crate) use self::kept::{Entry, Failures, FileKind, KeptConf, KeptContents};
use self::names::{first_name, further_name, key};
pub(crate) use self::stale::Stale;
use crate::error::ScratchError;

/// The timeout for the directory's lock. Others hold it for microseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The mode of the directories, as with the Go plugin: the files may contain secrets.
const DIRECTORY_MODE: u32 = 0o700;

const FURTHER: &str = ".attachments";

/// An empty directory. While it exists, every first file is for [`USUAL_IFNAME`], or does not name
/// its interface.
const ONLY_USUAL: &str = ".only-eth0";

/// The interface that runtimes request. GC assumes it for a file of the Go plugin, which does not
/// name the interface.
pub(crate) const USUAL_IFNAME: &str = "eth0";

/// The directory of the kept configurations.
#[derive(Debug)]
pub(crate) struct Scratch(Dir);

impl Scratch {
    /// Opens the directory; `None` if it does not exist, and nothing is kept.
    pub(crate) fn open(data_dir: &Path) -> Result<Option<Self>, StateError> {
        Ok(Dir::open(data_dir)?.map(Self))
    }

    /// Opens the directory, and creates it if it is missing.
    pub(crate) fn create(data_dir: &Path) -> Result<Self, StateError> {
        Dir::create(data_dir, DIRECTORY_MODE).map(Self)
    }

    /// Keeps an attachment's configuration, and returns the one of an earlier ADD that it replaces.
    /// From that moment the attachment is marked as in use.
    ///
    /// # Errors
    /// [`ScratchError::UnderWay`] if another ADD of the attachment, or a process of a killed one,
    /// still runs after `timeout`: each ADD would roll back what the other creates.
    pub(crate) fn keep(
        &self,
        attachment: &Attachment,
        conf: &Object,
        in_use: &InUse,
        timeout: Duration,
    ) -> Result<Option<KeptContents>, ScratchError> {
        let give_up = Instant::now() + timeout;
        loop {
            // Any other ADD waits for this lock, and then finds the mark.
            let guard = self.0.lock_whole(LOCK_TIMEOUT)?;
            let first = self.read_first(attachment)?;
            let earlier = self.locate_by(first.as_ref(), attachment)?;
            let earlier = earlier.map(|(_, kept)| kept);
            // If nothing is kept, a DEL has already cleaned up after the holder of the mark.
            if earlier.is_none() || !in_use.is_marked_by_others()? {
                in_use.mark()?;
                self.write(&guard, first.as_ref(), attachment, conf)?;
                return Ok(earlier);
            }
            drop(guard);
            let left = give_up.saturating_duration_since(Instant::now());
            match self.wait_until_unused(attachment, left) {
                Err(StateError::Locked { .. }) => {
                    return Err(ScratchError::UnderWay(attachment.clone()));
                }
                outcome => outcome?,
            }
        }
    }

    /// Writes an attachment's configuration; `first` is what [`Scratch::read_first`] returned under
    /// the same lock.
    fn write(
        &self,
        guard: &WriteGuard<'_>,
        first: Option<&File>,
        attachment: &Attachment,
        conf: &Object,
    ) -> Result<(), ScratchError> {
        let mut conf = conf.clone();
        conf.set(OWNER, attachment.ifname.as_str())?;

        let is_free = first.is_none_or(|first| first.is_of(attachment) || first.is_debris());
        match first_name(attachment).filter(|_| is_free) {
            Some(name) => {
                if attachment.ifname.as_str() != USUAL_IFNAME {
                    guard.remove_child(ONLY_USUAL)?;
                }
                guard.replace(name, conf.to_json()?.as_bytes())?;
            }
            None => {
                let name = further_name(attachment);
                if name.is_shortened {
                    conf.set(CONTAINER, attachment.container_id.as_str())?;
                }
                let further = self.0.create_child(FURTHER, DIRECTORY_MODE)?;
                let guard = further.lock_whole(LOCK_TIMEOUT)?;
                guard.replace(&name.text, conf.to_json()?.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Restores the configuration that was kept before [`Scratch::keep`].
    pub(crate) fn put_back(
        &self,
        attachment: &Attachment,
        earlier: &KeptConf,
    ) -> Result<(), ScratchError> {
        match self.locate(attachment)? {
            // The Go plugin's file is still there.
            Some((kind, _)) if kind != earlier.kind => Ok(self.remove_at(kind, attachment)?),
            _ => {
                let guard = self.0.lock_whole(LOCK_TIMEOUT)?;
                let first = self.read_first(attachment)?;
                self.write(&guard, first.as_ref(), attachment, &earlier.conf)?;
                drop(guard);
                if earlier.failures.is_empty() {
                    return Ok(());
                }
                self.note(attachment, earlier, &earlier.failures)
            }
        }
    }

    /// Keeps a configuration with which a DEL failed, and the failures, unless one is kept for the
    /// attachment.
    pub(crate) fn keep_failed(
        &self,
        attachment: &Attachment,
        conf: &Object,
        failures: &Failures,
    ) -> Result<(), ScratchError> {
        let mut conf = conf.clone();
        failures.put_into(&mut conf)?;
        let guard = self.0.lock_whole(LOCK_TIMEOUT)?;
        let first = self.read_first(attachment)?;
        match self.locate_by(first.as_ref(), attachment)? {
            Some((_, KeptContents::Conf(_))) => Ok(()),
            Some((_, KeptContents::Debris)) | None => {
                self.write(&guard, first.as_ref(), attachment, &conf)
            }
        }
    }

    /// Records the failures in the kept configuration of an attachment.
    pub(crate) fn note(
        &self,
        attachment: &Attachment,
        kept: &KeptConf,
        failures: &Failures,
    ) -> Result<(), ScratchError> {
        self.change(kept.kind, attachment, |guard, name| {
            let contents = guard.dir().read(name)?;
            let conf = contents.and_then(|contents| json::from_slice::<Object>(&contents).ok());
            let Some(mut conf) = conf else {
                return Ok(());
            };
            failures.put_into(&mut conf)?;
            Ok(guard.replace(name, conf.to_json()?.as_bytes())?)
        })
    }

    /// The mark of use that [`Scratch::keep`] sets. It stays until the last process that has the
    /// descriptor ends.
    pub(crate) fn in_use(&self, attachment: &Attachment) -> Result<InUse, StateError> {
        self.0.in_use(key(attachment))
    }

    /// Waits until no ADD of the attachment, and no process of a killed one, runs.
    ///
    /// # Errors
    /// [`StateError::Locked`] if one still runs after `timeout`.
    pub(crate) fn wait_until_unused(
        &self,
        attachment: &Attachment,
        timeout: Duration,
    ) -> Result<(), StateError> {
        self.0.wait_until_unused(key(attachment), timeout)
    }

    /// Marks an attachment as in use by `in_use`, and returns what is kept for it. `None` if that
    /// is not the file any more that was last changed at `as_read`, or if an ADD is under way.
    pub(crate) fn claim(
        &self,
        attachment: &Attachment,
        as_read: Stamp,
        in_use: &InUse,
    ) -> Result<Option<KeptContents>, StateError> {
        let _guard = self.0.lock_whole(LOCK_TIMEOUT)?;
        let Some((kind, kept)) = self.locate(attachment)? else {
            return Ok(None);
        };
        let file = match kind {
            FileKind::First => self.read_first(attachment)?,
            FileKind::Further => self.read_further(attachment)?,
        };
        if file.is_none_or(|file| file.changed != as_read) || in_use.is_marked_by_others()? {
            return Ok(None);
        }
        in_use.mark()?;
        Ok(Some(kept))
    }

    /// Finds the kept configuration of an attachment.
    pub(crate) fn find(&self, attachment: &Attachment) -> Result<Option<KeptContents>, StateError> {
        Ok(self.locate(attachment)?.map(|(_, kept)| kept))
    }

    /// Removes the kept configuration of an attachment, if there is one.
    pub(crate) fn remove(&self, attachment: &Attachment) -> Result<(), StateError> {
        let guard = self.0.lock_whole(LOCK_TIMEOUT)?;
        match self.locate(attachment)? {
            None => Ok(()),
            Some((kind, _)) => self.change_locked(&guard, kind, attachment, remove),
        }
    }

    /// As [`Scratch::remove`], for a file that is known.
    pub(crate) fn remove_kept(
        &self,
        attachment: &Attachment,
        kept: &KeptConf,
    ) -> Result<(), StateError> {
        self.remove_at(kept.kind, attachment)
    }

    fn remove_at(&self, kind: FileKind, attachment: &Attachment) -> Result<(), StateError> {
        self.change(kind, attachment, remove)
    }

    /// Calls `change` with the name of one of an attachment's files, under the lock.
    fn change<E: From<StateError>>(
        &self,
        kind: FileKind,
        attachment: &Attachment,
        change: impl FnOnce(&WriteGuard<'_>, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        let guard = self.0.lock_whole(LOCK_TIMEOUT)?;
        self.change_locked(&guard, kind, attachment, change)
    }

    fn change_locked<E: From<StateError>>(
        &self,
        guard: &WriteGuard<'_>,
        kind: FileKind,
        attachment: &Attachment,
        change: impl FnOnce(&WriteGuard<'_>, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        match kind {
            FileKind::First => first_name(attachment).map_or(Ok(()), |name| change(guard, name)),
            FileKind::Further => {
                let Some(further) = self.0.open_child(FURTHER)? else {
                    return Ok(());
                };
                let guard = further.lock_whole(LOCK_TIMEOUT)?;
                change(&guard, &further_name(attachment).text)
            }
        }
    }

    fn locate(
        &self,
        attachment: &Attachment,
    ) -> Result<Option<(FileKind, KeptContents)>, StateError> {
        let first = self.read_first(attachment)?;
        self.locate_by(first.as_ref(), attachment)
    }

    fn locate_by(
        &self,
        first: Option<&File>,
        attachment: &Attachment,
    ) -> Result<Option<(FileKind, KeptContents)>, StateError> {
        if let Some(first) = first.filter(|first| first.is_of(attachment)) {
            return Ok(Some((FileKind::First, first.kept.clone())));
        }
        if let Some(file) = self.read_further(attachment)? {
            return Ok(Some((FileKind::Further, file.kept)));
        }
        // A file without an owner: the Go plugin's, or debris.
        let first = first.filter(|first| first.owner.is_none());
        Ok(first.map(|first| (FileKind::First, first.kept.clone())))
    }

    fn read_first(&self, attachment: &Attachment) -> Result<Option<File>, StateError> {
        match first_name(attachment) {
            Some(name) => File::read(&self.0, name, FileKind::First),
            None => Ok(None),
        }
    }

    fn read_further(&self, attachment: &Attachment) -> Result<Option<File>, StateError> {
        match self.0.open_child(FURTHER)? {
            Some(further) => {
                File::read(&further, &further_name(attachment).text, FileKind::Further)
            }
            None => Ok(None),
        }
    }
}

fn remove(guard: &WriteGuard<'_>, name: &str) -> Result<(), StateError> {
    guard.remove(name).map(drop)
}

#[cfg(test)]
mod tests;
