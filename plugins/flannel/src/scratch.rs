//! What ADD leaves for CHECK and DEL: each attachment's delegate configuration.
//!
//! ```text
//! <dataDir>/<container id>                        the configuration of a container's first attachment
//! <dataDir>/.attachments/<container id>:<ifname>  those of its further ones
//! ```
//!
//! The first file is the Go plugin's, which knows one attachment a container. Ours say whose they are under a key that
//! no plugin knows, [`OWNER`]; a file without it is the Go plugin's and belongs to whichever attachment asks for it.
//!
//! The folder is locked while a file is written or removed, never while a delegate runs. Meanwhile the attachment is marked
//! as in use, by a descriptor that the delegate and all that it starts inherit: after a kill, DEL waits for the last of
//! them.

use std::path::Path;
use std::time::Duration;

use cni_types::json::{self, Object};
use cni_types::{Attachment, ContainerId, IfName, NetworkName, PluginType};
use state::{Dir, InUse, StateError, WriteGuard, stable_hash};

use crate::error::ScratchError;

/// How long others are waited for that write to the folder, which takes them microseconds.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// The mode of the folders, which is the Go plugin's: what is in the files may be nobody else's business.
const FOLDER_MODE: u32 = 0o700;

const FURTHER: &str = ".attachments";

/// The key under which a configuration that is kept has the attachment's interface name.
const OWNER: &str = "twill/ifname";

/// The folder that the configurations are kept in.
#[derive(Debug)]
pub(crate) struct Scratch(Dir);

/// A configuration that was kept.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// As the delegate got it on ADD, and the type of the delegate.
    Conf(PluginType, Object),
    /// The file is empty or garbled: there was a power cut, or another plugin was killed while it wrote it.
    Debris,
}

/// A configuration that was kept, with whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    pub(crate) container_id: ContainerId,
    /// None if the Go plugin wrote the file, which does not say it.
    pub(crate) ifname: Option<IfName>,
    pub(crate) plugin_type: PluginType,
    pub(crate) conf: Object,
}

/// Which file an attachment's configuration is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    Further,
}

/// A file's contents, and whose they are if they say it.
struct File {
    owner: Option<String>,
    kept: Kept,
}

impl Scratch {
    /// Opens the folder; `None` if it does not exist, and nothing is kept.
    pub(crate) fn open(data_dir: &Path) -> Result<Option<Self>, StateError> {
        Ok(Dir::open(data_dir)?.map(Self))
    }

    /// Opens the folder, and makes it if it is missing.
    pub(crate) fn create(data_dir: &Path) -> Result<Self, StateError> {
        Dir::create(data_dir, FOLDER_MODE).map(Self)
    }

    /// Keeps an attachment's configuration, in the place of one that an earlier ADD has left.
    pub(crate) fn keep(&self, attachment: &Attachment, conf: &Object) -> Result<(), ScratchError> {
        let mut conf = conf.clone();
        conf.set(OWNER, attachment.ifname.as_str())?;
        let contents = conf.to_json()?;

        let guard = self.0.lock_whole(LOCK_PATIENCE)?;
        let first = self.read_first(attachment)?;
        if first.is_none_or(|first| first.is_of(attachment) || first.is_debris()) {
            guard.replace(attachment.container_id.as_str(), contents.as_bytes())?;
        } else {
            let further = self.0.create_child(FURTHER, FOLDER_MODE)?;
            let guard = further.lock_whole(LOCK_PATIENCE)?;
            guard.replace(&further_name(attachment), contents.as_bytes())?;
        }
        Ok(())
    }

    /// Marks an attachment as one that something is at work on, until the last process is gone that has the descriptor.
    pub(crate) fn mark_in_use(&self, attachment: &Attachment) -> Result<InUse, StateError> {
        self.0.mark_in_use(key(attachment))
    }

    /// Waits until no ADD of the attachment is under way, nor anything that a killed one has started.
    ///
    /// Errors: [`StateError::Locked`] if something still is after `patience`.
    pub(crate) fn wait_until_unused(
        &self,
        attachment: &Attachment,
        patience: Duration,
    ) -> Result<(), StateError> {
        self.0.wait_until_unused(key(attachment), patience)
    }

    /// Every usable configuration that is kept, in the order of the files' names, the first attachments before the others;
    /// and an error for each file that cannot be read.
    pub(crate) fn list(&self) -> Result<(Vec<Entry>, Vec<StateError>), StateError> {
        let (mut entries, mut unread) = list(&self.0, Entry::first)?;
        if let Some(further) = self.0.open_child(FURTHER)? {
            let (of_further, unread_further) = list(&further, Entry::further)?;
            entries.extend(of_further);
            unread.extend(unread_further);
        }
        Ok((entries, unread))
    }

    /// Finds what is kept for an attachment.
    pub(crate) fn find(&self, attachment: &Attachment) -> Result<Option<Kept>, StateError> {
        Ok(self.locate(attachment)?.map(|(_, kept)| kept))
    }

    /// Removes what is kept for an attachment, if anything is.
    pub(crate) fn remove(&self, attachment: &Attachment) -> Result<(), StateError> {
        let guard = self.0.lock_whole(LOCK_PATIENCE)?;
        match self.locate(attachment)? {
            None => Ok(()),
            Some((place, _)) => self.remove_locked(&guard, place, attachment),
        }
    }

    /// As [`Scratch::remove`], of one file of the attachment's.
    pub(crate) fn remove_at(
        &self,
        place: Place,
        attachment: &Attachment,
    ) -> Result<(), StateError> {
        let guard = self.0.lock_whole(LOCK_PATIENCE)?;
        self.remove_locked(&guard, place, attachment)
    }

    fn remove_locked(
        &self,
        guard: &WriteGuard<'_>,
        place: Place,
        attachment: &Attachment,
    ) -> Result<(), StateError> {
        match place {
            Place::First => guard.remove(attachment.container_id.as_str()).map(drop),
            Place::Further => {
                let Some(further) = self.0.open_child(FURTHER)? else {
                    return Ok(());
                };
                let guard = further.lock_whole(LOCK_PATIENCE)?;
                guard.remove(&further_name(attachment)).map(drop)
            }
        }
    }

    fn locate(&self, attachment: &Attachment) -> Result<Option<(Place, Kept)>, StateError> {
        let first = self.read_first(attachment)?;
        if let Some(first) = first.as_ref().filter(|first| first.is_of(attachment)) {
            return Ok(Some((Place::First, first.kept.clone())));
        }
        if let Some(further) = self.0.open_child(FURTHER)?
            && let Some(contents) = further.read(&further_name(attachment))?
        {
            return Ok(Some((Place::Further, File::parse(&contents).kept)));
        }
        // Nobody's in particular: the Go plugin's, or debris.
        let first = first.filter(|first| first.owner.is_none());
        Ok(first.map(|first| (Place::First, first.kept)))
    }

    fn read_first(&self, attachment: &Attachment) -> Result<Option<File>, StateError> {
        let contents = self.0.read(attachment.container_id.as_str())?;
        Ok(contents.map(|contents| File::parse(&contents)))
    }
}

/// Reads the files of a folder into entries, by means of their names.
fn list(
    dir: &Dir,
    entry: fn(&str, File) -> Option<Entry>,
) -> Result<(Vec<Entry>, Vec<StateError>), StateError> {
    let mut names = Vec::new();
    dir.visit(|name| {
        names.extend(name.to_str().map(str::to_owned));
        Ok::<_, StateError>(())
    })?;
    names.sort();
    let (mut entries, mut unread) = (Vec::new(), Vec::new());
    for name in names {
        match dir.read(&name) {
            Ok(contents) => {
                entries.extend(contents.and_then(|contents| entry(&name, File::parse(&contents))));
            }
            // Not ours: a folder, a link.
            Err(StateError::NotAFile(_)) => {}
            Err(error) => unread.push(error),
        }
    }
    Ok((entries, unread))
}

impl Entry {
    fn first(name: &str, file: File) -> Option<Self> {
        let ifname = match &file.owner {
            Some(owner) => Some(owner.parse().ok()?),
            None => None,
        };
        Self::new(Place::First, name, ifname, file)
    }

    fn further(name: &str, file: File) -> Option<Self> {
        let (container_id, ifname) = name.split_once(':')?;
        Self::new(
            Place::Further,
            container_id,
            Some(ifname.parse().ok()?),
            file,
        )
    }

    fn new(place: Place, container_id: &str, ifname: Option<IfName>, file: File) -> Option<Self> {
        let container_id = container_id.parse().ok()?;
        match file.kept {
            Kept::Conf(plugin_type, conf) => Some(Self {
                place,
                container_id,
                ifname,
                plugin_type,
                conf,
            }),
            Kept::Debris => None,
        }
    }

    /// Whether the configuration is one of this network.
    pub(crate) fn is_of(&self, network: &NetworkName) -> bool {
        let name: Result<Option<String>, _> = self.conf.decode("name");
        name.is_ok_and(|name| name.as_deref() == Some(network.as_str()))
    }
}

impl File {
    fn parse(contents: &[u8]) -> Self {
        Self::parse_conf(contents).unwrap_or(Self {
            owner: None,
            kept: Kept::Debris,
        })
    }

    fn parse_conf(contents: &[u8]) -> Option<Self> {
        let mut conf: Object = json::from_slice(contents).ok()?;
        let plugin_type: String = conf.decode("type").ok()??;
        let owner = conf.decode(OWNER).ok()?;
        conf.remove(OWNER);
        Some(Self {
            owner,
            kept: Kept::Conf(plugin_type.parse().ok()?, conf),
        })
    }

    fn is_of(&self, attachment: &Attachment) -> bool {
        self.owner.as_deref() == Some(attachment.ifname.as_str())
    }

    fn is_debris(&self) -> bool {
        matches!(self.kept, Kept::Debris)
    }
}

/// What an attachment is marked under. Two that share a key would only wait for each other.
fn key(attachment: &Attachment) -> u64 {
    stable_hash(further_name(attachment).as_bytes())
}

/// Neither a container id nor an interface name has a colon, so no two attachments have one name.
fn further_name(attachment: &Attachment) -> String {
    format!("{}:{}", attachment.container_id, attachment.ifname)
}

#[cfg(test)]
mod tests;
