//! Reading what `iptables -S` prints.

use std::net::IpAddr;

/// A rule of the chain POSTROUTING that jumps to another chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jump<'a> {
    /// The whole rule, as `iptables -S` prints it after the chain's name.
    pub(super) rule: &'a str,
    /// The chain that the rule jumps to.
    pub(super) chain: &'a str,
}

/// The rules that jump to chains with names of the Go plugins.
pub(super) fn jumps(rules: &str) -> impl Iterator<Item = Jump<'_>> {
    rules.lines().filter_map(|line| {
        let rule = line.strip_prefix("-A POSTROUTING ")?;
        let chain = rule.rsplit_once(" -j ")?.1.trim_end();
        let is_name = chain.starts_with("CNI-") && !chain.contains(' ');
        is_name.then_some(Jump { rule, chain })
    })
}

impl<'a> Jump<'a> {
    /// The address to whose packets the rule applies.
    pub(super) fn source(&self) -> Option<IpAddr> {
        let address = self.rule.strip_prefix("-s ")?.split(' ').next()?;
        address.split('/').next()?.parse().ok()
    }

    /// The network's name and the container ID in the comment. Neither contains a quotation mark.
    pub(super) fn owner(&self) -> Option<(&'a str, &'a str)> {
        const BEGIN: &str = r#"--comment "name: \""#;
        let (_, rest) = self.rule.split_once(BEGIN)?;
        let (name, rest) = rest.split_once(r#"\" id: \""#)?;
        let (id, _) = rest.split_once(r#"\"""#)?;
        Some((name, id))
    }
}

#[cfg(test)]
mod tests {
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
        );
        let found: Vec<_> = jumps(rules).collect();
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
}
