//! What the Go plugins make in nftables (`pkg/ip` and `pkg/link` of containernetworking/plugins): found by their names and
//! comments, and removed with the attachment that it is for. Their tables stay.

use std::collections::HashSet;
use std::fmt::Write as _;

use cni_types::{Attachment, NetworkName, ValidAttachments};
use hmac_sha512::Hash;
use netlink::{Bytes, Request, Rtnetlink};

use crate::attributes::{Attributes, find, text};
use crate::rule::FoundRule;
use crate::step::{Message, Step};
use crate::survey::Plan;
use crate::{FirewallError, Nftables};

/// A chain of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForeignChain {
    /// Its `NFPROTO_*` number.
    pub(crate) family: u8,
    pub(crate) table: &'static str,
    pub(crate) name: String,
}

/// What the comments of the rules against false MACs begin with.
const MAC_COMMENT: &str = "macspoofchk-";

/// What of an attachment's is there that the Go plugin has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Masquerading,
    MacCheck,
}

impl ForeignChain {
    /// The chain with a rule for each address that is masqueraded.
    pub(crate) fn masquerading() -> Self {
        const INET: u8 = 1;
        Self {
            family: INET,
            table: "cni_plugins_masquerade",
            name: "masq_checks".to_owned(),
        }
    }

    /// A chain of iptables' table `nat`, of IPv4 and of IPv6.
    pub(crate) fn of_iptables(name: &str) -> [Self; 2] {
        [2, 10].map(|family| Self {
            family,
            table: "nat",
            name: name.to_owned(),
        })
    }

    /// The chain with a rule for each port that is held to a MAC.
    fn mac_checks() -> Self {
        Self::of_bridges("PREROUTING".to_owned())
    }

    /// The chain of an attachment that is held to its MAC; `reference` is [`reference_of`] it.
    pub(crate) fn of_port(reference: &str) -> Self {
        Self::of_bridges(format!("cni-br-iface-{reference}"))
    }

    /// The second chain of such an attachment.
    fn of_mac(reference: &str) -> Self {
        Self::of_bridges(format!("cni-br-iface-{reference}-mac"))
    }

    fn of_bridges(name: String) -> Self {
        const BRIDGE: u8 = 7;
        Self {
            family: BRIDGE,
            table: "nat",
            name,
        }
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().text(1, self.table).text(3, &self.name)
    }

    /// Asks for it.
    pub(crate) fn find(&self) -> Request<Bytes> {
        let what = format!("find chain {} of table {}", self.name, self.table);
        Message::GetChain.request(self.family, what, self.attributes())
    }

    /// Removes it, with its rules.
    fn delete(&self) -> Step {
        let what = format!("remove chain {} of table {}", self.name, self.table);
        Message::DeleteChain.foreign_step(self.family, what, self.attributes())
    }

    fn delete_rule(&self, rule: &FoundRule) -> Step {
        let what = format!(
            "remove a rule of chain {} of table {}",
            self.name, self.table
        );
        Message::DeleteRule.foreign_step(self.family, what, rule.attributes(self.table))
    }
}

impl Nftables {
    /// Removes what the Go plugin has made for an attachment.
    pub(crate) fn remove_of_go(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
        purpose: Purpose,
    ) -> Result<(), FirewallError> {
        let (id, ifname) = (&attachment.container_id, &attachment.ifname);
        match purpose {
            Purpose::Masquerading => {
                let token = masquerading_token(network, id.as_str(), ifname.as_str());
                self.remove_masquerading(|comment| comment.starts_with(&token))
            }
            Purpose::MacCheck => {
                self.remove_mac_checks(&[reference_of(id.as_str(), ifname.as_str())])
            }
        }
    }

    /// Removes what the Go plugin has made for a network's attachments that are not valid any more. The rules against false
    /// MACs do not say of which network they are: they go once there is no such port any more.
    pub(crate) fn collect_of_go(
        &mut self,
        network: &NetworkName,
        valid: &ValidAttachments,
    ) -> Result<(), FirewallError> {
        let of_network = format!("{}-", token(network.as_str()));
        let tokens: HashSet<_> = valid
            .iter()
            .map(|it| masquerading_token(network, &it.container_id, &it.ifname))
            .collect();
        self.remove_masquerading(|comment| {
            let is_valid = comment
                .split(',')
                .next()
                .is_some_and(|it| tokens.contains(it));
            comment.starts_with(&of_network) && !is_valid
        })?;
        let references: HashSet<_> = valid
            .iter()
            .map(|it| reference_of(&it.container_id, &it.ifname))
            .collect();
        let mut stale = Vec::new();
        for rule in self.rules_of_chain(&ForeignChain::mac_checks())? {
            let Some(reference) = rule.comment.strip_prefix(MAC_COMMENT) else {
                continue;
            };
            if !references.contains(reference) && is_port_gone(&rule)? {
                stale.push(reference.to_owned());
            }
        }
        self.remove_mac_checks(&stale)
    }

    /// Whether the Go plugin has made rules for an attachment that have an effect: this many, for as many addresses.
    pub(crate) fn masquerades_by_go(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
    ) -> Result<usize, FirewallError> {
        let (id, ifname) = (&attachment.container_id, &attachment.ifname);
        let token = masquerading_token(network, id.as_str(), ifname.as_str());
        let chain = ForeignChain::masquerading();
        let leads_there = |rule: &FoundRule| rule.target().is_some_and(|it| it == chain.name);
        let postrouting = ForeignChain {
            name: "postrouting".to_owned(),
            ..ForeignChain::masquerading()
        };
        if !self.rules_of_chain(&postrouting)?.iter().any(leads_there) {
            return Ok(0);
        }
        let rules = self.rules_of_chain(&chain)?;
        let own = rules.iter().filter(|rule| rule.comment.starts_with(&token));
        Ok(own.count())
    }

    /// Whether the Go plugin holds an attachment's port to its MAC.
    pub(crate) fn holds_to_mac_by_go(
        &mut self,
        attachment: &Attachment,
    ) -> Result<bool, FirewallError> {
        let (id, ifname) = (&attachment.container_id, &attachment.ifname);
        let reference = reference_of(id.as_str(), ifname.as_str());
        let (of_port, of_mac) = (
            ForeignChain::of_port(&reference),
            ForeignChain::of_mac(&reference),
        );
        for (chain, target) in [(&ForeignChain::mac_checks(), &of_port), (&of_port, &of_mac)] {
            let leads_there = |rule: &FoundRule| rule.target().is_some_and(|it| it == target.name);
            if !self.rules_of_chain(chain)?.iter().any(leads_there) {
                return Ok(false);
            }
        }
        // One lets the MAC pass, the other one drops the rest.
        Ok(self.rules_of_chain(&of_mac)?.len() >= 2)
    }

    fn remove_masquerading(
        &mut self,
        is_doomed: impl Fn(&str) -> bool,
    ) -> Result<(), FirewallError> {
        let chain = ForeignChain::masquerading();
        self.until_done(|this| {
            let rules = this.rules_of_chain(&chain)?;
            let doomed = rules.iter().filter(|rule| is_doomed(&rule.comment));
            let steps = doomed.map(|rule| chain.delete_rule(rule)).collect();
            let generation = None;
            this.commit(Plan { steps, generation })
        })
    }

    fn remove_mac_checks(&mut self, references: &[String]) -> Result<(), FirewallError> {
        let checks = ForeignChain::mac_checks();
        for reference in references {
            let comment = format!("{MAC_COMMENT}{reference}");
            // What leads to a chain goes before the chain.
            let chains = [
                ForeignChain::of_port(reference),
                ForeignChain::of_mac(reference),
            ];
            self.until_done(|this| {
                let rules = this.rules_of_chain(&checks)?;
                let of_it = rules.iter().filter(|rule| rule.comment == comment);
                let mut steps: Vec<_> = of_it.map(|rule| checks.delete_rule(rule)).collect();
                let questions: Vec<_> = chains.iter().map(ForeignChain::find).collect();
                let mut exists = [false; 2];
                this.ask_each(&questions, |position, _| {
                    if let Some(exists) = exists.get_mut(position) {
                        *exists = true;
                    }
                    Ok(())
                })?;
                let there = chains.iter().zip(exists).filter(|(_, exists)| *exists);
                steps.extend(there.map(|(chain, _)| chain.delete()));
                let generation = None;
                this.commit(Plan { steps, generation })
            })?;
        }
        Ok(())
    }

    pub(crate) fn rules_of_chain(
        &mut self,
        chain: &ForeignChain,
    ) -> Result<Vec<FoundRule>, FirewallError> {
        let request = FoundRule::list(chain.family, chain.table, Some(&chain.name));
        self.dump(&request, FoundRule::read)
    }
}

/// Whether the port that a rule looks at does not exist. A rule comes after its port.
fn is_port_gone(rule: &FoundRule) -> Result<bool, FirewallError> {
    let mut compared = rule.data_of("cmp");
    let (Some(data), None) = (compared.next(), compared.next()) else {
        return Ok(false);
    };
    let name = find(data, 3)
        .and_then(|data| text(data, 1))
        .unwrap_or_default();
    Ok(!name.is_empty() && Rtnetlink::open()?.link_by_name(name)?.is_none())
}

/// What the Go plugin names the chains of an attachment by.
pub(crate) fn reference_of(container_id: &str, ifname: &str) -> String {
    format!("{container_id}-{ifname}")
}

/// What the comments of an attachment's rules begin with in the Go plugin's table for masquerading.
fn masquerading_token(network: &NetworkName, container_id: &str, ifname: &str) -> String {
    let attachment = token(&format!("{ifname}:{container_id}"));
    format!("{}-{attachment}", token(network.as_str()))
}

/// The first 16 digits of a SHA-512.
fn token(text: &str) -> String {
    let mut token = String::new();
    for byte in Hash::hash(text.as_bytes()).iter().take(8) {
        let _ = write!(token, "{byte:02x}");
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    // From pkg/ip/ipmasq_nftables_linux_test.go of the Go plugins.
    #[test]
    fn rules_have_the_comments_that_the_go_plugin_gives() {
        let network = "unit-test".parse().unwrap();
        assert_eq!(
            masquerading_token(&network, "one", "eth0"),
            "6fd94d501e58f0aa-287fc69eff0574a2"
        );
        let network = "alternate".parse().unwrap();
        assert_eq!(
            masquerading_token(&network, "three", "net1"),
            "82783ef24bdc7036-acb19d111858e348"
        );
    }
}
