//! The attachments that runtimes name: one per call, and the valid ones of a GC.

use std::borrow::Cow;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{RawValue, to_raw_value};

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
    #[serde(rename = "containerID", deserialize_with = "some_text")]
    pub container_id: String,
    /// `CNI_IFNAME` of the ADD.
    #[serde(deserialize_with = "some_text")]
    pub ifname: String,
}

fn some_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.is_empty() {
        true => Err(D::Error::custom("must not be empty")),
        false => Ok(text),
    }
}

/// An element as libcni writes it, which serde_json reads in one pass.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<'a> {
    #[serde(rename = "containerID", borrow)]
    container_id: Cow<'a, str>,
    #[serde(borrow)]
    ifname: Cow<'a, str>,
}

impl Plain<'_> {
    fn is_complete(&self) -> bool {
        !self.container_id.is_empty() && !self.ifname.is_empty()
    }
}

/// The attachments that GC must leave alone: `cni.dev/valid-attachments` of its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidAttachments {
    /// In ascending order, without duplicates.
    sorted: Vec<ValidAttachment>,
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
    /// Code 6 for a value that is no list of attachments, or if one lacks its container or its
    /// interface: GC would remove what a running container has.
    pub fn of(conf: &NetConf<'_>) -> Result<Option<Self>, Error> {
        let Some(key) = KEYS.into_iter().find(|key| conf.has_key(key)) else {
            return Ok(None);
        };
        let Some(list) = conf.value::<&RawValue>(key)? else {
            return Ok(Some(Self::default()));
        };
        if let Ok(plain) = serde_json::from_str::<Vec<Plain<'_>>>(list.get())
            && plain.iter().all(Plain::is_complete)
        {
            let attachments = plain.into_iter().map(|element| ValidAttachment {
                container_id: element.container_id.into_owned(),
                ifname: element.ifname.into_owned(),
            });
            return Ok(Some(attachments.collect()));
        }
        // Keys in another case, missing or unknown ones, or a mistake to report.
        let attachments: Option<Vec<ValidAttachment>> = conf.value(key)?;
        Ok(Some(attachments.into_iter().flatten().collect()))
    }

    /// Puts the list into the configuration of another GC call, under both keys.
    ///
    /// # Errors
    /// As [`Object::set`].
    pub fn put_into(&self, conf: &mut Object) -> Result<(), DecodeError> {
        let list = to_raw_value(&self.sorted).map_err(|error| DecodeError::at("", error))?;
        KEYS.into_iter().try_for_each(|key| conf.set(key, &list))
    }

    /// The attachments, each once, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &ValidAttachment> {
        self.sorted.iter()
    }

    /// Whether this very attachment is still valid.
    pub fn contains(&self, container_id: &str, ifname: &str) -> bool {
        self.of_container(container_id)
            .any(|valid| valid.ifname == ifname)
    }

    /// Whether any attachment of this container is still valid.
    pub fn contains_container(&self, container_id: &str) -> bool {
        self.of_container(container_id).next().is_some()
    }

    fn of_container(&self, container_id: &str) -> impl Iterator<Item = &ValidAttachment> {
        let start = self
            .sorted
            .partition_point(|valid| valid.container_id.as_str() < container_id);
        let rest = self.sorted.get(start..).unwrap_or_default();
        rest.iter()
            .take_while(move |valid| valid.container_id == container_id)
    }
}

impl FromIterator<ValidAttachment> for ValidAttachments {
    fn from_iter<I: IntoIterator<Item = ValidAttachment>>(attachments: I) -> Self {
        let mut sorted: Vec<_> = attachments.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self { sorted }
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
    fn both_keys_are_read_and_null_is_an_empty_list() {
        for key in KEYS {
            let list =
                r#"[{"containerID":"c1","ifname":"eth0"},{"ContainerID":"c2","ifname":"a"}]"#;
            let valid = valid(&format!(r#"{{"name":"n","{key}":{list}}}"#)).unwrap();
            let valid = valid.unwrap();
            assert!(valid.contains("c1", "eth0") && valid.contains_container("c2"));
            assert!(!valid.contains("c1", "eth1") && !valid.contains_container("c3"));
            assert!(valid.contains("c2", "a") && !valid.contains_container("c"));
        }
        for empty in ["[]", "null"] {
            let text = format!(r#"{{"name":"n","cni.dev/valid-attachments":{empty}}}"#);
            assert_eq!(valid(&text), Ok(Some(ValidAttachments::default())));
        }
    }

    #[test]
    fn a_list_is_read_in_any_spelling() {
        let written = [
            r#"[{"containerID":"c2","ifname":"eth0"},{"containerID":"c1","ifname":"eth1"},{"containerID":"c1","ifname":"eth0"}]"#,
            r#"[{"ifname":"eth0","containerID":"c1"},{"IFNAME":"eth1","x":[],"containerid":"c1"},
                {"containerID":"\u00632","ifname":"eth0"},{"containerID":"c1","ifname":"eth0"}]"#,
        ];
        for list in written {
            let text = format!(r#"{{"name":"n","CNI.dev/valid-attachments":{list}}}"#);
            let valid = valid(&text).unwrap().unwrap();
            let all: Vec<_> = valid
                .iter()
                .map(|it| (&*it.container_id, &*it.ifname))
                .collect();
            assert_eq!(all, [("c1", "eth0"), ("c1", "eth1"), ("c2", "eth0")]);
        }
    }

    #[test]
    fn an_absent_list_is_not_an_empty_one() {
        assert_eq!(valid(r#"{"name":"n"}"#), Ok(None));
        for (list, problem) in [
            (
                r#"{"containerID":"c1"}"#,
                ": invalid type: map, expected a sequence",
            ),
            (
                r#"[{"containerID":"c1","ifname":"eth0"},{"ifname":"eth0"}]"#,
                "[1]: missing field `containerID`",
            ),
            (r#"[{"containerID":"c1"}]"#, "[0]: missing field `ifname`"),
            (
                r#"[{"containerID":"c1","ifname":""}]"#,
                "[0].ifname: must not be empty",
            ),
            (
                r#"[{"containerID":"","ifname":"eth0"}]"#,
                "[0].containerID: must not be empty",
            ),
        ] {
            let refused = valid(&format!(r#"{{"name":"n","cni.dev/attachments":{list}}}"#));
            let says =
                format!("cannot decode the network configuration: cni.dev/attachments{problem}");
            assert_eq!(refused, Err((6, says)));
        }
    }
}
