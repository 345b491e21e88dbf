//! The names of the Go plugins' chains, and the comments of their rules, which name an attachment.

use std::fmt::Write as _;

use cni_types::Attachment;
use hmac_sha512::Hash;
use netlink::attributes::text;

use crate::named::{NamedContainer, RuleEffect};
use crate::owner::NetworkAttachment;
use crate::rule::ListedRule;

/// The start of the comments of the rules against spoofed MACs.
pub(super) const MAC_COMMENT: &str = "macspoofchk-";

/// The name of a container's chain of iptables for port maps, as with the Go plugin: `CNI-DN-` and
/// as many digits of a SHA-512 as make 28 characters.
pub fn port_map_chain(network: &str, container_id: &str) -> String {
    let mut name = String::from("CNI-DN-");
    let digest = Hash::hash(format!("{network}{container_id}").as_bytes());
    for byte in digest.iter().take(11) {
        let _ = write!(name, "{byte:02x}");
    }
    name.truncate(28);
    name
}

/// The comment that iptables has given a rule.
pub(super) fn comment_of_iptables(rule: &ListedRule) -> Option<String> {
    if !rule.comment.is_empty() {
        return Some(rule.comment.clone());
    }
    rule.data_of("match").find_map(|data| {
        if text(data, MATCH_NAME).ok()? != "comment" {
            return None;
        }
        text(data, MATCH_INFO).ok().map(str::to_owned)
    })
}

/// `NFTA_MATCH_NAME` and `NFTA_MATCH_INFO`.
const MATCH_NAME: u16 = 1;
const MATCH_INFO: u16 = 3;

/// The network and the container ID in the comment of a jump to a port map.
pub(crate) fn port_map_owner(comment: &str) -> Option<(&str, &str)> {
    owner_in_comment(comment.strip_prefix("dnat ")?)
}

/// The network and the container ID in the comment of a jump, which masquerades or maps ports.
pub(super) fn owner_in_comment(comment: &str) -> Option<(&str, &str)> {
    let owner = comment.strip_prefix("dnat ").unwrap_or(comment);
    let (name, rest) = owner.strip_prefix("name: \"")?.split_once("\" id: \"")?;
    Some((name, rest.strip_suffix('"')?))
}

/// The attachment in the comment of a rule that masquerades it: `<token>, net: <network>, if:
/// <interface>, id: <container ID>`. `None` if the comment is cut off, as it is after 128 bytes.
pub(super) fn masqueraded(comment: &str) -> Option<NamedContainer> {
    let (token, rest) = comment.split_once(", net: ")?;
    let (network, rest) = rest.split_once(", if: ")?;
    let (ifname, id) = rest.split_once(", id: ")?;
    if token != masquerading_token(network, id, ifname) {
        return None;
    }
    NamedContainer::new((network, id), Some(ifname), RuleEffect::Masquerades)
}

/// The part of the Go plugin's chain names that identifies an attachment.
pub(crate) fn reference_of(attachment: &Attachment) -> String {
    reference(attachment.container_id.as_str(), attachment.ifname.as_str())
}

pub(super) fn reference(container_id: &str, ifname: &str) -> String {
    format!("{container_id}-{ifname}")
}

pub(super) fn token_of(owner: NetworkAttachment<'_>) -> String {
    let Attachment {
        container_id,
        ifname,
    } = owner.attachment;
    masquerading_token(
        owner.network.as_str(),
        container_id.as_str(),
        ifname.as_str(),
    )
}

/// The start of the comments of the Go plugin's rules that masquerade an attachment.
fn masquerading_token(network: &str, container_id: &str, ifname: &str) -> String {
    let attachment = attachment_token(container_id, ifname);
    format!("{}-{attachment}", digits(network))
}

pub(super) fn attachment_token(container_id: &str, ifname: &str) -> String {
    digits(&format!("{ifname}:{container_id}"))
}

/// The first 16 digits of a SHA-512.
pub(super) fn digits(text: &str) -> String {
    let mut digits = String::new();
    for byte in Hash::hash(text.as_bytes()).iter().take(8) {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    // As the Go plugin 1.1.1 creates them.
    #[test]
    fn port_maps_have_the_chains_that_the_go_plugin_gives() {
        let chain = port_map_chain("cbr0", "c1");
        assert_eq!(chain, "CNI-DN-68f1f1eeb62cad3d0bdd5");
        let comment = r#"dnat name: "cbr0" id: "c1""#;
        assert_eq!(port_map_owner(comment), Some(("cbr0", "c1")));
        assert_eq!(port_map_owner(r#"name: "cbr0" id: "c1""#), None);
    }

    // From pkg/ip/ipmasq_nftables_linux_test.go of the Go plugins.
    #[test]
    fn rules_have_the_comments_that_the_go_plugin_gives() {
        assert_eq!(
            masquerading_token("unit-test", "one", "eth0"),
            "6fd94d501e58f0aa-287fc69eff0574a2"
        );
        assert_eq!(
            masquerading_token("alternate", "three", "net1"),
            "82783ef24bdc7036-acb19d111858e348"
        );
    }
}
