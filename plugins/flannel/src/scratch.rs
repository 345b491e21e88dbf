//! What ADD leaves for CHECK and DEL: each attachment's delegate configuration.
//!
//! ```text
//! <dataDir>/<container id>                        of a container's first attachment
//! <dataDir>/.attachments/<container id>:<ifname>  of its further ones
//! ```
//!
//! The first file is the Go plugin's, which knows one attachment per container. Ours say whose they
//! are under a key that no plugin knows, [`OWNER`]; a file without it is the Go plugin's and
//! belongs to whichever attachment asks for it. Where an id is too long for a file name, a digest
//! takes the place of its end, and the file has the id under [`CONTAINER`].
//!
//! GC goes by the files' names, and opens none of a valid attachment. The name of a first one does
//! not say whose it is: a directory in which all are of [`USUAL_IFNAME`], or the Go plugin's, is
//! marked as such by an empty one inside, `.only-eth0`, that GC makes.
//!
//! A configuration that a call has failed with has the error under [`FAILURE`], and the number of
//! failed calls under [`FAILURES`].
//!
//! The directory is locked while a file is written or removed, never while a delegate runs.
//! Meanwhile the attachment is marked as in use, by a descriptor that the delegate and all that it
//! starts inherit: after a kill, DEL waits for the last of them.

mod names;
mod stale;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cni_types::json::{self, DecodeError, Object};
use cni_types::{
    Attachment, ContainerId, Error, IfName, NetworkName, PluginType, ValidAttachments,
};
use state::{Dir, InUse, StateError, WriteGuard};

use self::names::{first_name, further_name, key};
pub(crate) use self::stale::Stale;
use crate::error::ScratchError;

/// How long others are waited for that write to the directory, which takes them microseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The mode of the directories, which is the Go plugin's: what is in the files may be nobody else's
/// business.
const DIRECTORY_MODE: u32 = 0o700;

const FURTHER: &str = ".attachments";

/// An empty directory. While it exists, every first file is one of [`USUAL_IFNAME`], or does not
/// say of which interface it is.
const ONLY_USUAL: &str = ".only-eth0";

/// The interface that runtimes ask for: the one to delete for a file of the Go plugin, which does
/// not say it.
pub(crate) const USUAL_IFNAME: &str = "eth0";

/// The key under which a configuration that is kept has the attachment's interface name.
const OWNER: &str = "twill/ifname";

/// The key under which it has the container id, where the file's name does not.
const CONTAINER: &str = "twill/container";

/// The key under which it has the error of the last DEL.
const FAILURE: &str = "twill/failure";

/// The key under which it has a number, of [`Failures`]. Without it, an error counts as one.
const FAILURES: &str = "twill/failures";

/// The keys that are not the delegate's.
const OWN_KEYS: [&str; 4] = [OWNER, CONTAINER, FAILURE, FAILURES];

/// The directory that the configurations are kept in.
#[derive(Debug)]
pub(crate) struct Scratch(Dir);

/// What is kept for an attachment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kept {
    Conf(KeptConf),
    /// The file is empty or garbled: there was a power cut, or another plugin was killed while it
    /// wrote it.
    Debris,
}

/// A configuration that was kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeptConf {
    pub(crate) slot: Slot,
    /// The file's path, for messages.
    pub(crate) file: PathBuf,
    /// The type of the delegate.
    pub(crate) plugin_type: PluginType,
    /// As the delegate got it on ADD.
    pub(crate) conf: Object,
    pub(crate) failures: Failures,
}

/// The calls that have failed with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    /// How many of them: a failed ADD with its rollback is one, each DEL is one, and so is that
    /// there was no ADD.
    pub(crate) count: u32,
    /// The error of the last DEL.
    pub(crate) last: String,
}

impl Failures {
    /// With one more.
    pub(crate) fn and(&self, error: &Error) -> Self {
        Self {
            count: self.count.saturating_add(1),
            last: error.msg.clone(),
        }
    }

    /// Whether there is none.
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

/// A configuration that was kept, with whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) container_id: ContainerId,
    /// None if the Go plugin wrote the file, which does not say it.
    pub(crate) ifname: Option<IfName>,
    pub(crate) kept: KeptConf,
}

/// Which file has an attachment's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The one by the container's ID.
    First,
    /// The one by the container's ID and the interface's name.
    Further,
}

/// A file's contents, and whose they are if they say it.
struct File {
    owner: Option<String>,
    container: Option<String>,
    kept: Kept,
}

impl Scratch {
    /// Opens the directory; `None` if it does not exist, and nothing is kept.
    pub(crate) fn open(data_dir: &Path) -> Result<Option<Self>, StateError> {
        Ok(Dir::open(data_dir)?.map(Self))
    }

    /// Opens the directory, and makes it if it is missing.
    pub(crate) fn create(data_dir: &Path) -> Result<Self, StateError> {
        Dir::create(data_dir, DIRECTORY_MODE).map(Self)
    }

    /// Keeps an attachment's configuration, in the place of one that an earlier ADD has left, which
    /// is returned. From that moment the attachment is marked as in use.
    ///
    /// # Errors
    /// [`ScratchError::UnderWay`] if another ADD of the attachment is, or what a killed one has
    /// started, for all of `timeout`: each of the two would undo what the other one makes.
    pub(crate) fn keep(
        &self,
        attachment: &Attachment,
        conf: &Object,
        in_use: &InUse,
        timeout: Duration,
    ) -> Result<Option<Kept>, ScratchError> {
        let give_up = Instant::now() + timeout;
        loop {
            // Whoever else wants to keep something waits for this lock, and then sees the mark.
            let guard = self.0.lock_whole(LOCK_TIMEOUT)?;
            let first = self.read_first(attachment)?;
            let earlier = self.locate_by(first.as_ref(), attachment)?;
            let earlier = earlier.map(|(_, kept)| kept);
            // Where nothing is kept, a DEL is done with whatever the one that has the mark belongs
            // to.
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

    /// Puts back what was kept before [`Scratch::keep`].
    pub(crate) fn put_back(
        &self,
        attachment: &Attachment,
        earlier: &KeptConf,
    ) -> Result<(), ScratchError> {
        match self.locate(attachment)? {
            // The Go plugin's file is still there.
            Some((slot, _)) if slot != earlier.slot => Ok(self.remove_at(slot, attachment)?),
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

    /// Keeps a configuration that a DEL has failed with, and that it has, unless anything is kept
    /// for the attachment.
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
            Some((_, Kept::Conf(_))) => Ok(()),
            Some((_, Kept::Debris)) | None => self.write(&guard, first.as_ref(), attachment, &conf),
        }
    }

    /// Notes the failures with what is kept for an attachment.
    pub(crate) fn note(
        &self,
        attachment: &Attachment,
        kept: &KeptConf,
        failures: &Failures,
    ) -> Result<(), ScratchError> {
        self.change(kept.slot, attachment, |guard, name| {
            let contents = guard.dir().read(name)?;
            let conf = contents.and_then(|contents| json::from_slice::<Object>(&contents).ok());
            let Some(mut conf) = conf else {
                return Ok(());
            };
            failures.put_into(&mut conf)?;
            Ok(guard.replace(name, conf.to_json()?.as_bytes())?)
        })
    }

    /// What [`Scratch::keep`] marks an attachment with as one that something is at work on, until
    /// the last process is gone that has the descriptor.
    pub(crate) fn in_use(&self, attachment: &Attachment) -> Result<InUse, StateError> {
        self.0.in_use(key(attachment))
    }

    /// Waits until no ADD of the attachment is under way, nor anything that a killed one has
    /// started.
    ///
    /// # Errors
    /// [`StateError::Locked`] if something still is after `timeout`.
    pub(crate) fn wait_until_unused(
        &self,
        attachment: &Attachment,
        timeout: Duration,
    ) -> Result<(), StateError> {
        self.0.wait_until_unused(key(attachment), timeout)
    }

    /// Finds what is kept for an attachment.
    pub(crate) fn find(&self, attachment: &Attachment) -> Result<Option<Kept>, StateError> {
        Ok(self.locate(attachment)?.map(|(_, kept)| kept))
    }

    /// Removes what is kept for an attachment, if anything is.
    pub(crate) fn remove(&self, attachment: &Attachment) -> Result<(), StateError> {
        let guard = self.0.lock_whole(LOCK_TIMEOUT)?;
        match self.locate(attachment)? {
            None => Ok(()),
            Some((slot, _)) => self.change_locked(&guard, slot, attachment, remove),
        }
    }

    /// As [`Scratch::remove`], of one file of the attachment's.
    pub(crate) fn remove_kept(
        &self,
        attachment: &Attachment,
        kept: &KeptConf,
    ) -> Result<(), StateError> {
        self.remove_at(kept.slot, attachment)
    }

    fn remove_at(&self, slot: Slot, attachment: &Attachment) -> Result<(), StateError> {
        self.change(slot, attachment, remove)
    }

    /// Changes one of an attachment's files, whose name `change` is given, under the lock.
    fn change<E: From<StateError>>(
        &self,
        slot: Slot,
        attachment: &Attachment,
        change: impl FnOnce(&WriteGuard<'_>, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        let guard = self.0.lock_whole(LOCK_TIMEOUT)?;
        self.change_locked(&guard, slot, attachment, change)
    }

    fn change_locked<E: From<StateError>>(
        &self,
        guard: &WriteGuard<'_>,
        slot: Slot,
        attachment: &Attachment,
        change: impl FnOnce(&WriteGuard<'_>, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        match slot {
            Slot::First => first_name(attachment).map_or(Ok(()), |name| change(guard, name)),
            Slot::Further => {
                let Some(further) = self.0.open_child(FURTHER)? else {
                    return Ok(());
                };
                let guard = further.lock_whole(LOCK_TIMEOUT)?;
                change(&guard, &further_name(attachment).text)
            }
        }
    }

    fn locate(&self, attachment: &Attachment) -> Result<Option<(Slot, Kept)>, StateError> {
        let first = self.read_first(attachment)?;
        self.locate_by(first.as_ref(), attachment)
    }

    fn locate_by(
        &self,
        first: Option<&File>,
        attachment: &Attachment,
    ) -> Result<Option<(Slot, Kept)>, StateError> {
        if let Some(first) = first.filter(|first| first.is_of(attachment)) {
            return Ok(Some((Slot::First, first.kept.clone())));
        }
        if let Some(further) = self.0.open_child(FURTHER)?
            && let Some(file) = File::read(&further, &further_name(attachment).text, Slot::Further)?
        {
            return Ok(Some((Slot::Further, file.kept)));
        }
        // Nobody's in particular: the Go plugin's, or debris.
        let first = first.filter(|first| first.owner.is_none());
        Ok(first.map(|first| (Slot::First, first.kept.clone())))
    }

    fn read_first(&self, attachment: &Attachment) -> Result<Option<File>, StateError> {
        match first_name(attachment) {
            Some(name) => File::read(&self.0, name, Slot::First),
            None => Ok(None),
        }
    }
}

fn remove(guard: &WriteGuard<'_>, name: &str) -> Result<(), StateError> {
    guard.remove(name).map(drop)
}

impl Entry {
    fn new(slot: Slot, name: &str, file: File) -> Option<Self> {
        let Kept::Conf(kept) = file.kept else {
            return None;
        };
        let (container_id, ifname) = match slot {
            Slot::First => (name, file.owner.as_deref()),
            Slot::Further => {
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

    /// Whether the attachment is valid; where its interface is not known, whether any of its
    /// container is.
    fn is_valid(&self, valid: &ValidAttachments) -> bool {
        let container_id = self.container_id.as_str();
        match &self.ifname {
            Some(ifname) => valid.contains(container_id, ifname.as_str()),
            None => valid.contains_container(container_id),
        }
    }

    /// Whether the configuration is one of this network.
    fn is_of(&self, network: &NetworkName) -> bool {
        let name: Result<Option<String>, _> = self.kept.conf.decode("name");
        name.is_ok_and(|name| name.as_deref() == Some(network.as_str()))
    }
}

impl File {
    fn read(dir: &Dir, name: &str, slot: Slot) -> Result<Option<Self>, StateError> {
        let contents = dir.read(name)?;
        Ok(contents.map(|contents| {
            let file = dir.path().join(name);
            Self::parse(&contents, slot, file).unwrap_or(Self {
                owner: None,
                container: None,
                kept: Kept::Debris,
            })
        }))
    }

    fn parse(contents: &[u8], slot: Slot, file: PathBuf) -> Option<Self> {
        let mut conf: Object = json::from_slice(contents).ok()?;
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
            kept: Kept::Conf(KeptConf {
                slot,
                file,
                plugin_type: plugin_type.parse().ok()?,
                conf,
                failures: failures.unwrap_or_default(),
            }),
        })
    }

    fn is_of(&self, attachment: &Attachment) -> bool {
        self.owner.as_deref() == Some(attachment.ifname.as_str())
    }

    fn is_debris(&self) -> bool {
        matches!(self.kept, Kept::Debris)
    }
}

#[cfg(test)]
mod tests;
