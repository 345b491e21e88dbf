//! Rules: what is missing, and what is left of containers that are gone.

use container_link::LinkAlias;
use node::{CachedAttachment, HostPort, Node, NodeLink, NodeLinks};

use super::rule_check::Unmasqueraded;
use super::{Facts, Fault, Repair};
use crate::holdings::Holding;

/// How many missing parts of tables are named.
const AT_MOST: usize = 3;

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let mut faults = Vec::new();
    let missing = facts.node.firewall.iter().map(|it| it.missing.as_slice());
    faults.extend(missing.filter_map(flushed));
    let missing = facts.rules.unmasqueraded.iter();
    faults.extend(missing.map(|it| unmasqueraded(it, &facts.node)));
    faults.extend(facts.rules.unmapped.iter().map(unmapped));
    faults.extend(facts.rules.leftovers.iter().map(leftover));
    faults.extend(facts.rules.unreached.iter().map(|chain| unreached(chain)));
    faults
}

fn flushed(missing: &[String]) -> Option<Fault> {
    let named = missing.iter().take(AT_MOST).map(String::as_str);
    let more = missing.len().saturating_sub(AT_MOST);
    let more = (more > 0).then(|| format!("and {more} more"));
    let named: Vec<&str> = named.chain(more.as_deref()).collect();
    (!missing.is_empty()).then(|| Fault {
        kind: "flushed-rules",
        subject: "nftables".to_owned(),
        evidence: format!(
            "somebody has removed what a repair restores: {}",
            named.join("; ")
        ),
        effect: "containers are not masqueraded, or their ports lead nowhere",
        command: "twill repair flushed-rules --apply".to_owned(),
        repair: Some(Repair::RestoreRules),
    })
}

/// Twill masquerades only containers that it has added: the DEL of another plugin would leave its
/// rules.
fn unmasqueraded(it: &Unmasqueraded, node: &Node) -> Fault {
    let alias = LinkAlias::new(&it.network, &it.attachment);
    let links = node.links.iter().flat_map(NodeLinks::iter);
    let is_ours = links
        .filter_map(NodeLink::own_alias)
        .any(|own| own == alias.as_str());
    let addresses: Vec<_> = it.addresses.iter().map(|it| it.ip().to_string()).collect();
    Fault {
        kind: "missing-masquerading",
        subject: format!(
            "{} of {} {} in {}",
            addresses.join(", "),
            it.attachment.container_id,
            it.attachment.ifname,
            it.network
        ),
        evidence: "ipMasq is set, and no rule masquerades it, as after `nft flush ruleset`"
            .to_owned(),
        effect: "the container reaches nothing outside the cluster's network",
        command: match is_ours {
            true => "twill repair missing-masquerading --apply",
            false => {
                "delete the pod or container, which Twill has not added: its successor is \
                      masqueraded"
            }
        }
        .to_owned(),
        repair: is_ours.then(|| Repair::Masquerade(Box::new(it.clone()))),
    }
}

fn unmapped((attachment, port): &(CachedAttachment, HostPort)) -> Fault {
    let protocol = port.protocol.to_ascii_lowercase();
    Fault {
        kind: "missing-port-map",
        subject: format!(
            "{protocol} port {} of {} {} in {}",
            port.host_port,
            attachment.attachment.container_id,
            attachment.attachment.ifname,
            attachment.network
        ),
        evidence: "the runtime has passed it at the ADD, and no rule maps it, as after `nft flush \
                   ruleset`"
            .to_owned(),
        effect: "clients of the port are refused",
        command: "delete the pod or container: its successor gets its ports".to_owned(),
        repair: None,
    }
}

fn leftover(holding: &Holding) -> Fault {
    Fault {
        kind: "leftover-rules",
        subject: holding.in_words(),
        evidence: "rules name it, and it has neither an address nor a link".to_owned(),
        effect: "packets to its ports go to an address that another container may get",
        command: "twill repair leftover-rules --apply".to_owned(),
        repair: Some(Repair::Free(Box::new(holding.clone()))),
    }
}

fn unreached(chain: &str) -> Fault {
    Fault {
        kind: "leftover-rules",
        subject: format!("chain {chain} of iptables"),
        evidence: "no rule leads to it, and it is the port map of no container that has an address"
            .to_owned(),
        effect: "it does nothing, and stays for ever",
        command: "twill repair leftover-rules --apply".to_owned(),
        repair: Some(Repair::RemoveUnreached(chain.to_owned())),
    }
}
