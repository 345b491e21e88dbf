//! The kept configurations: each attachment's delegate configuration, which ADD keeps for CHECK and
//! DEL.
//!
//! ```text
//! <dataDir>/<container id>                        of a container's first attachment
//! <dataDir>/.attachments/<container id>:<ifname>  of its further ones
//! ```
//!
//! The first file is in the Go plugin's format, which has one attachment per container. Twill's
//! files name their interface under a key that no plugin reads, [`OWNER`]; a file without it is the
//! Go plugin's and belongs to whichever attachment asks for it. If a container ID is too long for a
//! file name, a digest replaces its end, and the file contains the ID under [`CONTAINER`].
//!
//! GC compares the files' names, and opens none of a valid attachment. The name of a first file
//! does not contain the interface. If all first files are for [`USUAL_IFNAME`] or the Go plugin's,
//! GC creates an empty directory, `.only-eth0`, and later GCs rely on it.
//!
//! A configuration with which a call has failed contains the error under [`FAILURE`], and the
//! number of failures under [`FAILURES`].
//!
//! The directory is locked while a file is written or removed, never while a delegate runs.
//! Meanwhile the attachment is marked as in use, by a descriptor that the delegate and all
//! processes that it starts inherit: after a kill, DEL waits for the last of them.

mod names;
mod stale;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cni_types::json::{self, DecodeError, Object};
use cni_types::{
    Attachment, ContainerId, Error, IfName, NetworkName, PluginType, ValidAttachments,
};
use state::{Dir, InUse, Stamp, StampedFile, StateError, WriteGuard};

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

/// The key of the attachment's interface name in a kept configuration.
const OWNER: &str = "twill/ifname";

/// The key of the container ID, if the file's name does not contain all of it.
const CONTAINER: &str = "twill/container";

/// The key of the last error.
const FAILURE: &str = "twill/failure";

/// The key of [`Failures::count`]. Without it, an error counts as one.
const FAILURES: &str = "twill/failures";

/// The keys that the delegate does not get.
const OWN_KEYS: [&str; 4] = [OWNER, CONTAINER, FAILURE, FAILURES];

/// The directory of the kept configurations.
#[derive(Debug)]
pub(crate) struct Scratch(Dir);

/// The kept file of an attachment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum KeptContents {
    Conf(KeptConf),
    /// The file is empty or garbled, after a power cut or because another plugin was killed while
    /// it wrote.
    Debris,
}

/// A kept configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeptConf {
    pub(crate) kind: FileKind,
    /// The file's path, for messages.
    pub(crate) file: PathBuf,
    /// The type of the delegate.
    pub(crate) plugin_type: PluginType,
    /// The configuration that the delegate got on ADD.
    pub(crate) conf: Object,
    pub(crate) failures: Failures,
}

/// The failures with a kept configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    /// Their number: a failed ADD whose rollback also failed counts as one, so does each failed
    /// DEL, and so does a configuration that no ADD has used.
    pub(crate) count: u32,
    /// The last error.
    pub(crate) last: String,
}

impl Failures {
    /// These failures and one more.
    pub(crate) fn and(&self, error: &Error) -> Self {
        Self {
            count: self.count.saturating_add(1),
            last: error.msg.clone(),
        }
    }

    /// Whether there is no failure.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn put_into(&self, conf: &mut Object) -> Result<(), DecodeError> {
        conf.set(FAILURE, &self.last)?;
        if self.count > 1 {
            conf.set(FAILURES, &self.count)?;
        }
        Ok(())
    }
}

/// A kept configuration and its attachment.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) container_id: ContainerId,
    /// `None` if the Go plugin wrote the file.
    pub(crate) ifname: Option<IfName>,
    pub(crate) kept: KeptConf,
}

/// The file of an attachment's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// The file that is named by the container ID alone.
    First,
    /// The file that is named by the container ID and the interface.
    Further,
}

/// A file's contents, and the interface that it names.
struct File {
    owner: Option<String>,
    container: Option<String>,
    kept: KeptContents,
    /// When the file was last changed.
    changed: Stamp,
}

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

impl Entry {
    fn new(kind: FileKind, name: &str, file: File) -> Option<Self> {
        let KeptContents::Conf(kept) = file.kept else {
            return None;
        };
        let (container_id, ifname) = match kind {
            FileKind::First => (name, file.owner.as_deref()),
            FileKind::Further => {
                let (start, ifname) = name.split_once(':')?;
                (file.container.as_deref().unwrap_or(start), Some(ifname))
            }
        };
        Some(Self {
            container_id: container_id.parse().ok()?,
            ifname: ifname.map(IfName::recorded).transpose().ok()?,
            kept,
        })
    }

    /// Whether the attachment is valid; if its interface is not known, whether any attachment of
    /// its container is.
    fn is_valid(&self, valid: &ValidAttachments) -> bool {
        let container_id = self.container_id.as_str();
        match &self.ifname {
            Some(ifname) => valid.contains(container_id, ifname.as_str()),
            None => valid.contains_container(container_id),
        }
    }

    /// Whether the configuration belongs to this network.
    fn is_of(&self, network: &NetworkName) -> bool {
        let name: Result<Option<String>, _> = self.kept.conf.decode("name");
        name.is_ok_and(|name| name.as_deref() == Some(network.as_str()))
    }
}

impl File {
    fn read(dir: &Dir, name: &str, kind: FileKind) -> Result<Option<Self>, StateError> {
        let read = dir.read_stamped(name)?;
        Ok(read.map(|read| {
            let file = dir.path().join(name);
            Self::parse(&read, kind, file).unwrap_or(Self {
                owner: None,
                container: None,
                kept: KeptContents::Debris,
                changed: read.changed,
            })
        }))
    }

    fn parse(read: &StampedFile, kind: FileKind, file: PathBuf) -> Option<Self> {
        let mut conf: Object = json::from_slice(&read.contents).ok()?;
        let plugin_type: String = conf.decode("type").ok()??;
        let [owner, container, last] =
            [OWNER, CONTAINER, FAILURE].map(|key| conf.decode::<String>(key));
        let count: Option<u32> = conf.decode(FAILURES).ok()?;
        for key in OWN_KEYS {
            conf.remove(key);
        }
        let failures = last.ok()?.map(|last| Failures {
            count: count.unwrap_or(1),
            last,
        });
        Some(Self {
            owner: owner.ok()?,
            container: container.ok()?,
            kept: KeptContents::Conf(KeptConf {
                kind,
                file,
                plugin_type: plugin_type.parse().ok()?,
                conf,
                failures: failures.unwrap_or_default(),
            }),
            changed: read.changed,
        })
    }

    fn is_of(&self, attachment: &Attachment) -> bool {
        self.owner.as_deref() == Some(attachment.ifname.as_str())
    }

    fn is_debris(&self) -> bool {
        matches!(self.kept, KeptContents::Debris)
    }
}

#[cfg(test)]
mod tests;
