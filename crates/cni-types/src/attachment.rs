//! The attachments that runtimes name: one per call, and the valid ones of a GC.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json::{DecodeError, Object};
use crate::{ContainerId, Error, IfName, NetConf};

/// The keys of GC's list of valid attachments: today's, and that of older libcni.
const KEYS: [&str; 2] = ["cni.dev/valid-attachments", "cni.dev/attachments"];

/// One interface of one container: what ADD creates and DEL removes (CNI specification, "Section
/// 2").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attachment {
    /// The container.
    pub container_id: ContainerId,
    /// The container's interface.
    pub ifname: IfName,
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of container {}", self.ifname, self.container_id)
    }
}

/// An element of GC's list of valid attachments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// Decodes the list in the configuration of a GC call: `cni.dev/valid-attachments`, or
    /// `cni.dev/attachments` from an older libcni.
    ///
    /// An empty list, which libcni may write as `null`, means that no attachment is valid. `None`
    /// means that the configuration has neither key, as libcni omits the key when its caller passes
    /// no list: GC must then remove nothing.
    ///
    /// # Errors
    /// Code 6 for a value that is no list of attachments.
    pub fn of(conf: &NetConf<'_>) -> Result<Option<Self>, Error> {
        let Some(key) = KEYS.into_iter().find(|key| conf.contains(key)) else {
            return Ok(None);
        };
        let attachments: Option<Vec<ValidAttachment>> = conf.value(key)?;
        Ok(Some(attachments.into_iter().flatten().collect()))
    }

    /// Puts the list into the configuration of another GC call, under both keys.
    ///
    /// # Errors
    /// As [`Object::set`].
    pub fn put_into(&self, conf: &mut Object) -> Result<(), DecodeError> {
        let mut attachments: Vec<&ValidAttachment> = self.attachments.iter().collect();
        attachments.sort();
        KEYS.into_iter()
            .try_for_each(|key| conf.set(key, &attachments))
    }

    /// The attachments, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &ValidAttachment> {
        self.attachments.iter()
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn valid(text: &str) -> Result<Option<ValidAttachments>, (u32, String)> {
        let conf = NetConf::parse(text.as_bytes()).unwrap();
        ValidAttachments::of(&conf).map_err(|error| (error.code.0, error.msg))
    }

    #[test]
    fn both_keys_and_null() {
        for key in KEYS {
            let list = r#"[{"containerID":"c1","ifname":"eth0"},{"ContainerID":"c2"}]"#;
            let valid = valid(&format!(r#"{{"name":"n","{key}":{list}}}"#)).unwrap();
            let valid = valid.unwrap();
            assert!(valid.contains("c1", "eth0") && valid.contains_container("c2"));
            assert!(!valid.contains("c1", "eth1") && !valid.contains_container("c3"));
        }
        for empty in ["[]", "null"] {
            let text = format!(r#"{{"name":"n","cni.dev/valid-attachments":{empty}}}"#);
            assert_eq!(valid(&text), Ok(Some(ValidAttachments::default())));
        }
    }

    #[test]
    fn an_absent_list_is_not_an_empty_one() {
        assert_eq!(valid(r#"{"name":"n"}"#), Ok(None));
        assert_eq!(
            valid(r#"{"name":"n","cni.dev/attachments":{"containerID":"c1"}}"#),
            Err((
                6,
                concat!(
                    "cannot decode the network configuration: ",
                    "cni.dev/attachments: invalid type: map, expected a sequence"
                )
                .into()
            ))
        );
    }
}
