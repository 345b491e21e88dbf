//! The alias of an attachment's links, which says whose they are.

use std::cell::LazyCell;
use std::collections::HashSet;
use std::fmt::Write;

use cni_types::{Attachment, NetworkName, ValidAttachments};
use hmac_sha512::Hash;
use netlink::Link;

/// The longest alias that every kernel accepts, in bytes (`IFALIASZ` less final zeros).
const LONGEST_ALIAS: usize = 254;

/// The number of names for an attachment's port. The first one is free unless the link of an
/// earlier ADD still has it.
const PORT_NAMES: u8 = 4;

/// The characters of a port's name after its prefix.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghijkmnpqrstuvwx";

/// The alias of an attachment's links (ip-link(8)), which says whose they are. The names of the
/// links on the node are derived from it, so DEL finds them without the container's namespace.
///
/// The alias is `twill/<network>/<container id>/<ifname>`. If that is too long, digests take the
/// place of the names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkAlias {
    text: String,
}

/// The owner of a link, relative to an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The attachment's.
    Own,
    /// Another attachment's.
    Other,
    /// The link has no alias of this format: another plugin created it.
    Unknown,
}

impl LinkAlias {
    /// The prefix of all aliases that these plugins set.
    pub const PREFIX: &str = "twill/";

    /// The alias for an attachment of a network.
    pub fn new(network: &NetworkName, attachment: &Attachment) -> Self {
        let ifname = attachment.ifname.as_str();
        let container_id = attachment.container_id.as_str();
        Self::of(network.as_str(), container_id, ifname)
    }

    fn of(network: &str, container_id: &str, ifname: &str) -> Self {
        // No network, container id or interface name has a slash in it.
        let alias = format!("{}{network}/{container_id}/{ifname}", Self::PREFIX);
        if alias.len() <= LONGEST_ALIAS {
            return Self { text: alias };
        }
        let rest = digest(&format!("{container_id}/{ifname}"));
        let alias = format!("{}{rest}", start_with_digest(network));
        Self { text: alias }
    }

    /// The text, at most 254 bytes.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names for the node's end of a veth pair, in the order in which they are tried.
    pub fn port_names(&self) -> impl Iterator<Item = String> {
        (0..PORT_NAMES).map(|number| link_name("veth", &self.text, number))
    }

    /// The name of the ifb that the container's egress passes. It ends like the first of
    /// [`LinkAlias::port_names`].
    pub fn ifb_name(&self) -> String {
        link_name("ifb", &self.text, 0)
    }

    /// The owner of a link, by its alias.
    pub fn whose(&self, link: &Link) -> Whose {
        match &link.alias {
            Some(alias) if *alias == self.text => Whose::Own,
            Some(alias) if alias.starts_with(Self::PREFIX) => Whose::Other,
            _ => Whose::Unknown,
        }
    }
}

/// The links of a network whose attachments are not valid any more.
pub fn stale_links(links: Vec<Link>, network: &NetworkName, valid: &ValidAttachments) -> Vec<Link> {
    let network = network.as_str();
    let start = format!("{}{network}/", LinkAlias::PREFIX);
    let start_with_digest = start_with_digest(network);
    // An attachment cannot be read from its digest, so the digests of all valid ones are compared.
    // Names of this length are rare.
    let with_digest = LazyCell::new(|| {
        let aliases = valid
            .iter()
            .map(|valid| LinkAlias::of(network, &valid.container_id, &valid.ifname));
        aliases.map(|alias| alias.text).collect::<HashSet<String>>()
    });
    let is_stale = |link: &Link| {
        let alias = link.alias.as_deref().unwrap_or_default();
        match alias.strip_prefix(&start) {
            Some(attachment) => !attachment
                .split_once('/')
                .is_some_and(|(container_id, ifname)| valid.contains(container_id, ifname)),
            None => alias.starts_with(&start_with_digest) && !with_digest.contains(alias),
        }
    };
    let mut links = links;
    links.retain(is_stale);
    links
}

/// The prefix of a network's aliases with digests. No network's name begins with a tilde.
fn start_with_digest(network: &str) -> String {
    format!("{}~{}/", LinkAlias::PREFIX, digest(network))
}

fn digest(text: &str) -> String {
    let hash = Hash::hash(text.as_bytes());
    hash.iter()
        .take(16)
        .fold(String::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        })
}

/// A prefix and 55 bits of a digest, which no two attachments of a node share. The names that the
/// Go plugin gives are shorter.
fn link_name(prefix: &str, alias: &str, number: u8) -> String {
    let hash = Hash::hash([alias.as_bytes(), &[0, number]].concat());
    let characters = hash
        .iter()
        .take(11)
        .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
    let characters = characters.map(|character| char::from(*character));
    std::iter::once(prefix.to_owned())
        .chain(characters.map(String::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(network: &str, container_id: &str, ifname: &str) -> LinkAlias {
        let attachment = Attachment {
            container_id: container_id.parse().unwrap(),
            ifname: ifname.parse().unwrap(),
        };
        LinkAlias::new(&network.parse().unwrap(), &attachment)
    }

    // A node's plugins may be replaced while its containers run, so the format must never change.
    #[test]
    fn the_format_never_changes() {
        let alias = alias("cbr0", "c1", "eth0");
        assert_eq!(alias.as_str(), "twill/cbr0/c1/eth0");
        let names: Vec<String> = alias.port_names().collect();
        assert_eq!(names.len(), 4);
        assert_eq!(names[0], "vethk70c0kqwsfj");
        assert_eq!(alias.ifb_name(), "ifbk70c0kqwsfj");
        assert!(names.iter().all(|name| name.len() == 15), "{names:?}");
    }

    #[test]
    fn names_of_any_length_have_different_aliases() {
        let long = "n".repeat(300);
        let names = ["a", "b", "ab", &long, &format!("{long}x")];
        let (mut aliases, mut ports) = (HashSet::new(), HashSet::new());
        for network in names {
            for container_id in names {
                for ifname in ["a", "b", "ab", "eth0"] {
                    let alias = alias(network, container_id, ifname);
                    assert!(alias.as_str().len() <= LONGEST_ALIAS, "{alias:?}");
                    ports.extend(alias.port_names());
                    assert!(
                        aliases.insert(alias.text),
                        "{network} {container_id} {ifname}"
                    );
                }
            }
        }
        assert_eq!(ports.len(), aliases.len() * 4);
    }
}
