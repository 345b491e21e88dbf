use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;

use crate::{ContainerId, IfName};

/// One interface of one container: what ADD makes and DEL removes (CNI specification, "Section 2").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attachment {
    /// The container.
    pub container_id: ContainerId,
    /// Its interface.
    pub ifname: IfName,
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of container {}", self.ifname, self.container_id)
    }
}

/// An element of the list that GC gets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct ValidAttachment {
    /// `CNI_CONTAINERID` of the ADD.
    #[serde(rename = "containerID", default)]
    pub container_id: String,
    /// `CNI_IFNAME` of the ADD.
    #[serde(default)]
    pub ifname: String,
}

/// The attachments that GC must leave alone: `cni.dev/valid-attachments` of its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidAttachments {
    attachments: HashSet<ValidAttachment>,
    containers: HashSet<String>,
}

impl ValidAttachments {
    /// Whether this very attachment is still valid.
    pub fn contains(&self, container_id: &str, ifname: &str) -> bool {
        self.attachments.contains(&ValidAttachment {
            container_id: container_id.to_owned(),
            ifname: ifname.to_owned(),
        })
    }

    /// Whether any attachment of this container is still valid.
    pub fn contains_container(&self, container_id: &str) -> bool {
        self.containers.contains(container_id)
    }
}

impl FromIterator<ValidAttachment> for ValidAttachments {
    fn from_iter<I: IntoIterator<Item = ValidAttachment>>(attachments: I) -> Self {
        let attachments: HashSet<_> = attachments.into_iter().collect();
        let containers = attachments
            .iter()
            .map(|attachment| attachment.container_id.clone())
            .collect();
        Self {
            attachments,
            containers,
        }
    }
}
