//! The containers that rules outside Twill's tables name: those of iptables, and those of the Go
//! plugins in nftables.

use std::collections::{BTreeSet, HashSet};

use cni_types::{ContainerId, IfName, NetworkName};

use crate::iptables::NAMING;

/// The start of the names of chains that belong to one container.
const OF_CONTAINER: &str = "CNI-";

/// The start of the names of those that map ports.
const PORT_MAP: &str = "CNI-DN-";

/// The length of such a name; the end is a part of a digest.
const LENGTH: usize = 28;

/// What rules outside Twill's tables say about containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignRules {
    /// The containers that rules name with their networks.
    pub named: BTreeSet<NamedContainer>,
    /// The containers that rules of the Go plugin's table for port maps name. These rules do not
    /// name the network.
    pub mapped: BTreeSet<ContainerId>,
    /// The chains of iptables with a container's port map that no rule leads to, as after somebody
    /// has flushed the chain with the jumps. Their rules name no container: see
    /// [`port_map_chain`](crate::port_map_chain).
    pub unreached: BTreeSet<String>,
}

/// A container that a rule names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedContainer {
    /// The network.
    pub network: NetworkName,
    /// The container.
    pub container_id: ContainerId,
    /// Its interface, where the rule names it.
    pub ifname: Option<IfName>,
    /// The effect of the rule.
    pub effect: RuleEffect,
}

/// The effect of a rule that names a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleEffect {
    /// It masquerades the container.
    Masquerades,
    /// It leads ports of the node to the container.
    MapsPorts,
    /// None: no rule leads to its chain.
    Unreached,
}

/// A rule of the table `nat` of iptables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NatRule {
    pub(crate) chain: String,
    /// The chain that it jumps to.
    pub(crate) target: Option<String>,
    /// The network and the container ID that its comment names.
    pub(crate) owner: Option<(String, String)>,
}

impl NamedContainer {
    pub(crate) fn new(
        (network, container_id): (&str, &str),
        ifname: Option<&str>,
        effect: RuleEffect,
    ) -> Option<Self> {
        Some(Self {
            network: network.parse().ok()?,
            container_id: container_id.parse().ok()?,
            ifname: ifname.and_then(|ifname| ifname.parse().ok()),
            effect,
        })
    }
}

impl NatRule {
    /// Whether the rule is in a chain of the Go plugins, or leads to one.
    pub(crate) fn is_of_cni(&self) -> bool {
        let both = [Some(&self.chain), self.target.as_ref()];
        both.iter().flatten().any(|it| it.starts_with(OF_CONTAINER))
    }
}

impl ForeignRules {
    /// Adds what the rules of one table `nat` say: those for which [`NatRule::is_of_cni`] holds.
    pub(crate) fn note(&mut self, rules: &[NatRule]) {
        let targets = rules.iter().filter_map(|rule| rule.target.as_deref());
        let reached: HashSet<&str> = targets.collect();
        for rule in rules {
            let chain = rule.chain.as_str();
            let target = rule.target.as_deref();
            let jumps = target.is_some_and(|target| target.starts_with(OF_CONTAINER));
            let of_jump = NAMING.iter().find(|(from, _)| jumps && chain == *from);
            let is_unreached = is_of_container(chain) && !reached.contains(chain);
            let of_chain = is_unreached.then_some(RuleEffect::Unreached);
            let effect = of_jump.map(|(_, effect)| *effect).or(of_chain);
            if let Some((effect, (network, id))) = effect.zip(rule.owner.as_ref()) {
                self.named
                    .extend(NamedContainer::new((network, id), None, effect));
            }
            if is_unreached && chain.starts_with(PORT_MAP) {
                self.unreached.insert(chain.to_owned());
            }
        }
    }
}

/// Whether a chain has a name as the Go plugins give to the chains of a container. All containers
/// share their other chains.
fn is_of_container(chain: &str) -> bool {
    let digits = chain.strip_prefix(PORT_MAP);
    let digits = digits.or_else(|| chain.strip_prefix(OF_CONTAINER));
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    chain.len() == LENGTH && digits.is_some_and(|digits| digits.bytes().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(chain: &str, target: &str, owner: Option<(&str, &str)>) -> NatRule {
        NatRule {
            chain: chain.to_owned(),
            target: Some(target.to_owned()),
            owner: owner.map(|(network, id)| (network.to_owned(), id.to_owned())),
        }
    }

    #[test]
    fn chains_that_no_rule_leads_to_are_told_from_the_others() {
        const ONE: &str = "CNI-2bbe0c48b91a7d1b8a6753a8";
        const TWO: &str = "CNI-374f33fe84ab0ed84dcdebe3";
        const PORTS: &str = "CNI-DN-68f1f1eeb62cad3d0bdd5";
        const OTHER_PORTS: &str = "CNI-DN-00f1f1eeb62cad3d0bdd5";
        let (c1, c2) = (Some(("net", "c1")), Some(("net", "c2")));
        let mut foreign = ForeignRules::default();
        foreign.note(&[
            rule("POSTROUTING", ONE, c1),
            rule(ONE, "MASQUERADE", c1),
            rule(TWO, "MASQUERADE", c2),
            rule("CNI-HOSTPORT-DNAT", PORTS, c1),
            rule(PORTS, "CNI-HOSTPORT-SETMARK", None),
            rule(OTHER_PORTS, "CNI-HOSTPORT-SETMARK", None),
            rule("CNI-HOSTPORT-SETMARK", "MARK", None),
        ]);
        let named = |id: &str, effect| NamedContainer::new(("net", id), None, effect).unwrap();
        let expected = [
            named("c1", RuleEffect::Masquerades),
            named("c1", RuleEffect::MapsPorts),
            named("c2", RuleEffect::Unreached),
        ];
        assert_eq!(foreign.named, expected.into());
        assert_eq!(foreign.unreached, [OTHER_PORTS.to_owned()].into());
    }
}
