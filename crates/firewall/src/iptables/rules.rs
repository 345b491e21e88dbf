//! Reading what `iptables -S` prints.

use std::fmt::Write as _;
use std::net::IpAddr;

use cni_types::{NetworkName, ValidAttachments};

use crate::named::NatRule;

/// A rule that jumps to a container's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jump<'a> {
    /// The chain that contains the rule.
    from: &'a str,
    /// The rule, as `iptables -S` prints it after that chain's name.
    pub(super) rule: &'a str,
    /// The chain that the rule jumps to.
    pub(super) chain: &'a str,
}

/// The rules of the chain `from` that jump to chains with names of the Go plugins.
pub(super) fn jumps<'a>(rules: &'a str, from: &'a str) -> impl Iterator<Item = Jump<'a>> {
    rules.lines().filter_map(move |line| {
        let rule = line.trim_end().strip_prefix("-A ")?;
        let rule = rule.strip_prefix(from)?.strip_prefix(' ')?;
        let chain = rule.rsplit_once(" -j ")?.1;
        let is_name = chain.starts_with("CNI-") && !chain.contains(' ');
        is_name.then_some(Jump { from, rule, chain })
    })
}

/// All rules of a table.
pub(super) fn nat_rules(rules: &str) -> impl Iterator<Item = NatRule> {
    rules.lines().filter_map(|line| {
        let rule = line.trim_end().strip_prefix("-A ")?;
        let target = rule.rsplit_once(" -j ").map(|(_, target)| target);
        let target = target.and_then(|target| target.split(' ').next());
        let (from, _) = rule.split_once(' ')?;
        let jump = Jump {
            from,
            rule,
            chain: target.unwrap_or_default(),
        };
        let owner = jump.owner();
        Some(NatRule {
            chain: from.to_owned(),
            target: target.map(str::to_owned),
            owner: owner.map(|(network, id)| (network.to_owned(), id.to_owned())),
        })
    })
}

/// Those of [`jumps`] whose containers have no valid attachment to a network any more. `chain_of`
/// makes the name of a container's chain from the network's name and the container ID.
pub(super) fn stale_jumps<'a>(
    rules: &'a str,
    from: &'a str,
    network: &NetworkName,
    valid: &ValidAttachments,
    chain_of: fn(&str, &str) -> String,
) -> Vec<Jump<'a>> {
    let is_stale = |jump: &Jump<'_>| {
        jump.owner().is_some_and(|(name, id)| {
            name == network.as_str()
                && jump.chain == chain_of(name, id)
                && !valid.contains_container(id)
        })
    };
    jumps(rules, from).filter(is_stale).collect()
}

/// The lines that remove jumps and the chains that they lead to.
pub(super) fn removal_with_chains(jumps: &[Jump<'_>]) -> String {
    let mut chains: Vec<_> = jumps.iter().map(|jump| jump.chain).collect();
    chains.sort_unstable();
    chains.dedup();
    removal(jumps, &chains)
}

/// The lines that remove jumps and chains. They create the chains first, because it is an error to
/// remove a chain that does not exist.
pub(super) fn removal(jumps: &[Jump<'_>], chains: &[&str]) -> String {
    let mut lines = String::new();
    for chain in chains {
        let _ = writeln!(lines, ":{chain} - [0:0]");
    }
    for jump in jumps {
        let _ = writeln!(lines, "-D {} {}", jump.from, jump.rule);
    }
    for chain in chains {
        let _ = writeln!(lines, "-X {chain}");
    }
    lines
}

impl<'a> Jump<'a> {
    /// The address to whose packets the rule applies.
    pub(super) fn source(&self) -> Option<IpAddr> {
        let address = self.rule.strip_prefix("-s ")?.split(' ').next()?;
        address.split('/').next()?.parse().ok()
    }

    /// The network's name and the container ID in the comment. Neither contains a quotation mark.
    pub(super) fn owner(&self) -> Option<(&'a str, &'a str)> {
        let (_, comment) = self.rule.split_once(r#"--comment ""#)?;
        // A jump for port mappings has the first word.
        let owner = comment.strip_prefix("dnat ").unwrap_or(comment);
        let (name, rest) = owner
            .strip_prefix(r#"name: \""#)?
            .split_once(r#"\" id: \""#)?;
        let (id, _) = rest.split_once(r#"\""#)?;
        Some((name, id))
    }
}

#[cfg(test)]
mod tests {
    use cni_types::ValidAttachment;

    use super::*;

    #[test]
    fn jumps_are_found_in_the_output_of_iptables() {
        let rules = concat!(
            "-P POSTROUTING ACCEPT\n",
            "-A POSTROUTING -m comment --comment \"kubernetes rules\" -j KUBE-POSTROUTING\n",
            "-A POSTROUTING -s 10.1.0.2/32 ",
            "-m comment --comment \"name: \\\"cbr0\\\" id: \\\"c1\\\"\" -j CNI-00\n",
            "-A POSTROUTING -s fd00::2/128 -j CNI-11\n",
            "-A POSTROUTING -j CNI-22 --random\n",
            "-A POSTROUTING2 -j CNI-33\n",
        );
        let found: Vec<_> = jumps(rules, "POSTROUTING").collect();
        let shown: Vec<_> = found
            .iter()
            .map(|jump| (jump.chain, jump.source(), jump.owner()))
            .collect();
        let address = |text: &str| Some(text.parse().unwrap());
        assert_eq!(
            shown,
            [
                ("CNI-00", address("10.1.0.2"), Some(("cbr0", "c1"))),
                ("CNI-11", address("fd00::2"), None),
            ]
        );
        assert!(found[0].rule.starts_with("-s 10.1.0.2/32 -m"));
        assert!(found[0].rule.ends_with(" -j CNI-00"));
    }

    #[test]
    fn all_rules_are_read() {
        let rules = concat!(
            "-P OUTPUT ACCEPT\n",
            "-N CNI-00\n",
            "-A OUTPUT -j CNI-HOSTPORT-DNAT\n",
            "-A CNI-00 -d 10.1.0.0/24 ",
            "-m comment --comment \"name: \\\"cbr0\\\" id: \\\"c1\\\"\" -j ACCEPT\n",
            "-A CNI-11 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.1.0.2:80\n",
        );
        let rules: Vec<_> = nat_rules(rules).collect();
        let rules = rules.iter().map(|it| {
            let owner = it.owner.as_ref().map(|(network, id)| (&**network, &**id));
            (&*it.chain, it.target.as_deref(), owner)
        });
        assert_eq!(
            rules.collect::<Vec<_>>(),
            [
                ("OUTPUT", Some("CNI-HOSTPORT-DNAT"), None),
                ("CNI-00", Some("ACCEPT"), Some(("cbr0", "c1"))),
                ("CNI-11", Some("DNAT"), None),
            ]
        );
    }

    #[test]
    fn only_the_chains_of_stale_containers_of_the_network_are_removed() {
        let mut rules = String::new();
        for (name, id) in [("cbr0", "c1"), ("cbr0", "c2"), ("cbr1", "c1")] {
            for ports in ["80", "81"] {
                let comment = format!(r#"--comment "dnat name: \"{name}\" id: \"{id}\"""#);
                let ports = format!("-m multiport --dports {ports}");
                let _ = writeln!(
                    rules,
                    "-A FROM -m comment {comment} {ports} -j CNI-{name}{id} "
                );
            }
        }
        let chain_of = |name: &str, id: &str| format!("CNI-{name}{id}");
        let attachment = ValidAttachment {
            container_id: "c2".to_owned(),
            ifname: "eth0".to_owned(),
        };
        let valid = ValidAttachments::from_iter([attachment]);
        let network = "cbr0".parse().unwrap();
        let stale = stale_jumps(&rules, "FROM", &network, &valid, chain_of);
        let comment = r#"-m comment --comment "dnat name: \"cbr0\" id: \"c1\"""#;
        let jump = |port| format!("-D FROM {comment} -m multiport --dports {port} -j CNI-cbr0c1\n");
        assert_eq!(
            removal_with_chains(&stale),
            format!(
                ":CNI-cbr0c1 - [0:0]\n{}{}-X CNI-cbr0c1\n",
                jump(80),
                jump(81)
            )
        );
        let other_name = |_: &str, _: &str| "CNI-other".to_owned();
        assert_eq!(
            stale_jumps(&rules, "FROM", &network, &valid, other_name),
            []
        );
    }
}
