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
//! The folder is locked while a file is written or removed, never while a delegate runs.

use std::path::Path;
use std::time::Duration;

use cni_types::json::{self, Object};
use cni_types::{Attachment, PluginType};
use state::{Dir, StateError};

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

/// Which file an attachment's configuration is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
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

    /// Finds what is kept for an attachment.
    pub(crate) fn find(&self, attachment: &Attachment) -> Result<Option<Kept>, StateError> {
        Ok(self.locate(attachment)?.map(|(_, kept)| kept))
    }

    /// Removes what is kept for an attachment, if anything is.
    pub(crate) fn remove(&self, attachment: &Attachment) -> Result<(), StateError> {
        let guard = self.0.lock_whole(LOCK_PATIENCE)?;
        match self.locate(attachment)? {
            None => Ok(()),
            Some((Place::First, _)) => guard.remove(attachment.container_id.as_str()).map(drop),
            Some((Place::Further, _)) => {
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

/// Neither a container id nor an interface name has a colon, so no two attachments have one name.
fn further_name(attachment: &Attachment) -> String {
    format!("{}:{}", attachment.container_id, attachment.ifname)
}

#[cfg(test)]
mod tests;
