//! The owner of an address, and the owner's text in an address file.

use std::fmt;

use cni_types::{Attachment, ContainerId, IfName, ValidAttachments};

/// The separator of container ID and interface name.
const SEPARATOR: &str = "\r\n";

/// The owner of an address: an attachment, or a container where no interface was recorded. Its text
/// is what the Go plugin writes into the address file: `<container ID>\r\n<ifname>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The container.
    pub container_id: ContainerId,
    /// The interface; older versions, with one interface per container, recorded none.
    pub ifname: Option<IfName>,
}

impl Owner {
    /// Reads the contents of an address file; `None` if they name no owner. White space around the
    /// text is ignored.
    pub fn parse(contents: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(contents).ok()?.trim();
        let (container_id, ifname) = match text.split_once(SEPARATOR) {
            Some((container_id, ifname)) => (container_id, Some(IfName::recorded(ifname).ok()?)),
            None => (text, None),
        };
        Some(Self {
            container_id: container_id.parse().ok()?,
            ifname,
        })
    }

    /// Whether contents that name no owner are debris of a power cut or of a full disk: empty, or
    /// bytes that no program writes. Anything else is somebody's own text.
    pub fn is_debris(contents: &[u8]) -> bool {
        let broken = |c: char| c.is_control() && !c.is_ascii_whitespace();
        match std::str::from_utf8(contents) {
            Ok(text) => text.trim().is_empty() || text.contains(broken),
            Err(_) => true,
        }
    }

    /// The attachment; `None` where no interface was recorded.
    pub fn attachment(&self) -> Option<Attachment> {
        Some(Attachment {
            container_id: self.container_id.clone(),
            ifname: self.ifname.clone()?,
        })
    }

    /// Whether the owner is this attachment.
    pub fn is(&self, attachment: &Attachment) -> bool {
        self.container_id == attachment.container_id
            && self.ifname.as_ref() == Some(&attachment.ifname)
    }

    /// Whether the owner is a valid attachment. An owner without an interface is valid if any
    /// attachment of the container is.
    pub fn is_valid(&self, valid: &ValidAttachments) -> bool {
        let container_id = self.container_id.as_str();
        match &self.ifname {
            Some(ifname) => valid.contains(container_id, ifname.as_str()),
            None => valid.contains_container(container_id),
        }
    }

    /// The owner that older versions recorded, which knew one interface per container.
    pub(crate) fn without_interface(self) -> Self {
        Self {
            ifname: None,
            ..self
        }
    }

    /// The owner for a message: the container's ID, and the interface if it is known.
    pub fn in_words(&self) -> String {
        self.to_string().replace(SEPARATOR, " ")
    }

    /// Whether the owner is this container, without an interface.
    pub fn is_only(&self, container_id: &ContainerId) -> bool {
        self.container_id == *container_id && self.ifname.is_none()
    }
}

impl From<&Attachment> for Owner {
    fn from(attachment: &Attachment) -> Self {
        Self {
            container_id: attachment.container_id.clone(),
            ifname: Some(attachment.ifname.clone()),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ifname {
            Some(ifname) => f.write_str(&text(self.container_id.as_str(), ifname.as_str())),
            None => write!(f, "{}", self.container_id),
        }
    }
}

/// The text of an owner with an interface.
pub(crate) fn text(container_id: &str, ifname: &str) -> String {
    [container_id, SEPARATOR, ifname].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attachment(container_id: &str, ifname: &str) -> Attachment {
        Attachment {
            container_id: container_id.parse().unwrap(),
            ifname: ifname.parse().unwrap(),
        }
    }

    #[test]
    fn contents_with_and_without_an_interface() {
        let owner = Owner::parse(b"c1\r\neth0").unwrap();
        assert!(owner.is(&attachment("c1", "eth0")));
        assert!(!owner.is(&attachment("c1", "eth1")));
        assert!(!owner.is_only(&"c1".parse().unwrap()));
        assert_eq!(owner.to_string(), "c1\r\neth0");

        let old = Owner::parse(b" c1\n").unwrap();
        assert!(old.is_only(&"c1".parse().unwrap()));
        assert!(!old.is(&attachment("c1", "eth0")));
        assert_eq!(old.to_string(), "c1");
    }

    #[test]
    fn contents_that_name_no_owner() {
        for debris in [
            &b""[..],
            b" \r\n",
            b"\0\0\0\0",
            b"c1\r\n\0\0\0\0",
            b"\xff",
            b"a b",
            b"../a\r\neth0",
            b"c1\r\neth0\r\nmore",
        ] {
            assert_eq!(Owner::parse(debris), None, "{debris:?}");
        }
    }

    #[test]
    fn debris_differs_from_text_that_somebody_wrote() {
        for debris in [
            &b""[..],
            b" \r\n",
            b"\0\0\0\0",
            b"c1\r\n\0\0\0\0",
            b"\xff\xfe",
        ] {
            assert!(Owner::is_debris(debris), "{debris:?}");
        }
        for meant in [
            &b"reserved for the printer\n"[..],
            b"k8s_web/0\r\neth0",
            b"c1\r\na-very-long-interface-name",
        ] {
            assert_eq!(Owner::parse(meant), None);
            assert!(!Owner::is_debris(meant), "{meant:?}");
        }
    }

    proptest! {
        #[test]
        fn any_contents_are_read_or_debris(contents in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(owner) = Owner::parse(&contents) {
                prop_assert_eq!(Owner::parse(owner.to_string().as_bytes()), Some(owner));
            }
        }
    }
}
