//! A kept configuration, and the file that contains it.

use std::path::PathBuf;

use cni_types::json::{self, DecodeError, Object};
use cni_types::{
    Attachment, ContainerId, Error, IfName, NetworkName, PluginType, ValidAttachments,
};
use state::{Dir, Stamp, StampedFile, StateError};

/// The key of the attachment's interface name in a kept configuration.
pub(super) const OWNER: &str = "twill/ifname";

/// The key of the container ID, if the file's name does not contain all of it.
pub(super) const CONTAINER: &str = "twill/container";

/// The key of the last error.
const FAILURE: &str = "twill/failure";

/// The key of [`Failures::count`]. Without it, an error counts as one.
const FAILURES: &str = "twill/failures";

/// The keys that the delegate does not get.
const OWN_KEYS: [&str; 4] = [OWNER, CONTAINER, FAILURE, FAILURES];

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

    pub(super) fn put_into(&self, conf: &mut Object) -> Result<(), DecodeError> {
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
pub(super) struct File {
    pub(super) owner: Option<String>,
    pub(super) container: Option<String>,
    pub(super) kept: KeptContents,
    /// When the file was last changed.
    pub(super) changed: Stamp,
}

impl Entry {
    pub(super) fn new(kind: FileKind, name: &str, file: File) -> Option<Self> {
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
    pub(super) fn is_valid(&self, valid: &ValidAttachments) -> bool {
        let container_id = self.container_id.as_str();
        match &self.ifname {
            Some(ifname) => valid.contains(container_id, ifname.as_str()),
            None => valid.contains_container(container_id),
        }
    }

    /// Whether the configuration belongs to this network.
    pub(super) fn is_of(&self, network: &NetworkName) -> bool {
        let name: Result<Option<String>, _> = self.kept.conf.decode("name");
        name.is_ok_and(|name| name.as_deref() == Some(network.as_str()))
    }
}

impl File {
    pub(super) fn read(dir: &Dir, name: &str, kind: FileKind) -> Result<Option<Self>, StateError> {
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

    pub(super) fn is_of(&self, attachment: &Attachment) -> bool {
        self.owner.as_deref() == Some(attachment.ifname.as_str())
    }

    pub(super) fn is_debris(&self) -> bool {
        matches!(self.kept, KeptContents::Debris)
    }
}
