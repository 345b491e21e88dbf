//! Validated names: a value of these types is a name that the specification allows.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::Quoted;

/// A name that the CNI specification does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name has no characters.
    #[error("is empty")]
    Empty,
    /// A container id or network name with a character outside `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
    #[error(
        "{} has invalid characters: allowed are letters and digits, then also \"_\", \".\" and \
         \"-\"",
        Quoted(.0)
    )]
    Characters(String),
    /// An interface name of more than 15 bytes, the most that the kernel takes.
    #[error("{} is too long: an interface name has at most 15 bytes", Quoted(.0))]
    TooLong(String),
    /// An alternative name of more than 127 bytes, the most that the kernel takes.
    #[error("{} is too long: an interface's alternative name has at most 127 bytes", Quoted(.0))]
    AltnameTooLong(String),
    /// An interface name with a `%`, which the kernel expands: `eth%d` becomes `eth0`.
    #[error("{} is no interface name: the kernel would make a number of the \"%\"", Quoted(.0))]
    Pattern(String),
    /// An interface name that is `.` or `..`, or has a `/`, `:` or white space in it.
    #[error(
        "{} is no interface name: it must not be \".\" or \"..\" nor contain \"/\", \":\" or white \
         space",
        Quoted(.0)
    )]
    Interface(String),
    /// A plugin type that would lead out of the directories of `CNI_PATH`.
    #[error("{} is no plugin type: it must be the bare name of a file in CNI_PATH", Quoted(.0))]
    PluginType(String),
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A container's id, unique on the node (CNI specification, `CNI_CONTAINERID`). An id is a safe
    /// file name: it has no slash and does not start with a dot.
    ContainerId,
    check_cni_name
);
name!(
    /// The `name` of a network configuration, unique on the node. Like a [`ContainerId`], a name is
    /// a safe file name.
    NetworkName,
    check_cni_name
);
name!(
    /// The name of an interface inside a container (`CNI_IFNAME`) that the kernel accepts: 1 to 15
    /// bytes, not `.` or `..`, without `/`, `:`, white space and `%`.
    IfName,
    check_ifname
);
name!(
    /// The name of an existing link, or one of its alternative names (ip-link(8), `altname`): 1 to
    /// 127 bytes, otherwise like an [`IfName`].
    LinkName,
    check_link_name
);
name!(
    /// The `type` of a network configuration or of its `ipam`: the name of an executable in one of
    /// the directories of `CNI_PATH`.
    PluginType,
    check_plugin_type
);

/// The plugins, of the reference and of this project, that are not IPAM plugins.
const NO_IPAM: [&str; 16] = [
    "bandwidth",
    "bridge",
    "dummy",
    "firewall",
    "flannel",
    "host-device",
    "ipvlan",
    "loopback",
    "macvlan",
    "portmap",
    "ptp",
    "sbr",
    "tap",
    "tuning",
    "vlan",
    "vrf",
];

impl PluginType {
    /// Whether this type is known to be no IPAM plugin. As an IPAM plugin, it would get its
    /// caller's configuration, whose IPAM plugin is itself, and recurse without end.
    pub fn is_no_ipam(&self) -> bool {
        NO_IPAM.contains(&self.as_str())
    }
}

impl IfName {
    /// A name in a record of a plugin that allows `%`, as the Go plugins do. No interface has such
    /// a name, but the addresses of the record can be released.
    ///
    /// # Errors
    /// As for other names, except [`NameError::Pattern`].
    pub fn recorded(text: &str) -> Result<Self, NameError> {
        match check_ifname(text) {
            Ok(()) | Err(NameError::Pattern(_)) => Ok(Self(text.into())),
            Err(error) => Err(error),
        }
    }
}

fn check_cni_name(text: &str) -> Result<(), NameError> {
    let Some(first) = text.chars().next() else {
        return Err(NameError::Empty);
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if first.is_ascii_alphanumeric() && text.chars().all(allowed) {
        Ok(())
    } else {
        Err(NameError::Characters(text.to_owned()))
    }
}

fn check_ifname(text: &str) -> Result<(), NameError> {
    /// `IFNAMSIZ` of the kernel, less the final zero.
    const MAX_BYTES: usize = 15;
    if text.len() > MAX_BYTES {
        return Err(NameError::TooLong(text.to_owned()));
    }
    check_link_name(text)
}

fn check_link_name(text: &str) -> Result<(), NameError> {
    /// `ALTIFNAMSIZ` of the kernel, less the final zero.
    const MAX_BYTES: usize = 127;
    if text.is_empty() {
        Err(NameError::Empty)
    } else if text.len() > MAX_BYTES {
        Err(NameError::AltnameTooLong(text.to_owned()))
    } else if matches!(text, "." | "..")
        || text
            .chars()
            .any(|c| matches!(c, '/' | ':' | '\0') || c.is_whitespace())
    {
        Err(NameError::Interface(text.to_owned()))
    } else if text.contains('%') {
        Err(NameError::Pattern(text.to_owned()))
    } else {
        Ok(())
    }
}

fn check_plugin_type(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        Err(NameError::Empty)
    } else if matches!(text, "." | "..") || text.contains(['/', '\0']) {
        Err(NameError::PluginType(text.to_owned()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn container_ids_and_network_names_are_validated() {
        for good in ["a", "0", "f81d4fae-7dec-11d0", "A_b.c-9", "a.."] {
            assert_eq!(good.parse::<ContainerId>().unwrap().as_str(), good);
            assert_eq!(good.parse::<NetworkName>().unwrap().as_str(), good);
        }
        assert_eq!("".parse::<NetworkName>(), Err(NameError::Empty));
        for bad in [
            "-a", ".a", "..", "_a", "a/b", "../a", "a b", "a\n", "ä", "a\0",
        ] {
            assert_eq!(
                bad.parse::<ContainerId>(),
                Err(NameError::Characters(bad.to_owned())),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn interface_names_are_validated() {
        for good in [
            "eth0",
            "a",
            "...",
            "-",
            "fifteen_bytes_x",
            "ä",
            "eth0.100@if3",
        ] {
            assert!(good.parse::<IfName>().is_ok(), "{good:?}");
        }
        assert_eq!("".parse::<IfName>(), Err(NameError::Empty));
        assert_eq!(
            "sixteen_bytes_xx".parse::<IfName>(),
            Err(NameError::TooLong("sixteen_bytes_xx".to_owned()))
        );
        for bad in [".", "..", "a/b", "a:b", "a b", "a\tb", "a\u{a0}b", "a\0"] {
            assert_eq!(
                bad.parse::<IfName>(),
                Err(NameError::Interface(bad.to_owned()))
            );
        }
    }

    #[test]
    fn alternative_names_may_be_longer() {
        for good in ["eth0", "sixteen_bytes_xx", &"a".repeat(127)] {
            assert_eq!(good.parse::<LinkName>().unwrap().as_str(), good);
        }
        let long = "a".repeat(128);
        let bad = [
            (long.as_str(), NameError::AltnameTooLong(long.clone())),
            ("", NameError::Empty),
            (
                "sixteen/bytes/xx",
                NameError::Interface("sixteen/bytes/xx".to_owned()),
            ),
        ];
        for (text, error) in bad {
            assert_eq!(text.parse::<LinkName>(), Err(error), "{text}");
        }
    }

    #[test]
    fn patterns_are_refused_except_in_records() {
        for pattern in ["eth%d", "%", "100%"] {
            assert_eq!(
                pattern.parse::<IfName>(),
                Err(NameError::Pattern(pattern.to_owned()))
            );
            assert_eq!(IfName::recorded(pattern).unwrap().as_str(), pattern);
        }
        assert!(IfName::recorded("eth0").is_ok());
        for bad in ["%/", "% d", "sixteen_%bytes_xx"] {
            assert_eq!(IfName::recorded(bad), bad.parse::<IfName>(), "{bad}");
        }
    }

    #[test]
    fn plugin_types() {
        assert!("host-local".parse::<PluginType>().is_ok());
        assert!("..a".parse::<PluginType>().is_ok());
        for bad in [".", "..", "/bin/sh", "../sh", "a/b", "a\0b"] {
            assert_eq!(
                bad.parse::<PluginType>(),
                Err(NameError::PluginType(bad.to_owned()))
            );
        }
    }

    proptest! {
        #[test]
        fn an_accepted_name_stays_inside_its_directory(text in "\\PC{0,20}") {
            let directory = std::path::Path::new("/d");
            if let Ok(id) = text.parse::<ContainerId>() {
                let path = directory.join(id.as_str());
                prop_assert_eq!(path.parent(), Some(directory));
                prop_assert_eq!(path.file_name(), Some(text.as_ref()));
                prop_assert!(!text.starts_with('.'));
            }
        }
    }
}
