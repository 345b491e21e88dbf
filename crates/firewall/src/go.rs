//! Chains and rules of the Go plugins in nftables (`pkg/ip` and `pkg/link` of
//! containernetworking/plugins): finding them by names and comments, and removing those of an
//! attachment. Tables stay.

use std::cell::LazyCell;
use std::collections::HashSet;
use std::fmt::Write as _;

use cni_types::{Attachment, ValidAttachments};
use hmac_sha512::Hash;
use netlink::attributes::{Attributes, Malformed, find, text};
use netlink::{KernelMessage, KernelRequest, Rtnetlink};
use nix::libc;

use crate::FirewallError;
use crate::all::may_have_legacy_port_maps;
use crate::edit::{Edit, Message, Transaction};
use crate::kernel::{Kernel, Question};
use crate::named::{ForeignRules, NamedContainer, NatRule, RuleEffect};
use crate::nf_tables::{TABLE, chain, cmp, data};
use crate::owner::NetworkAttachment;
use crate::port_map::loopback::{Open, Towards};
use crate::rule::ListedRule;

/// A chain that this crate has not created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForeignChain {
    /// The `NFPROTO_*` number of its family.
    pub(crate) family: i32,
    pub(crate) table: &'static str,
    pub(crate) name: String,
}

/// The start of the comments of the rules against spoofed MACs.
const MAC_COMMENT: &str = "macspoofchk-";

impl ForeignChain {
    /// The chain with one rule per masqueraded address.
    pub(crate) fn masquerading() -> Self {
        Self {
            family: libc::NFPROTO_INET,
            table: "cni_plugins_masquerade",
            name: "masq_checks".to_owned(),
        }
    }

    /// A chain of iptables' table `nat`, for IPv4 and for IPv6.
    pub(crate) fn of_iptables(name: &str) -> [Self; 2] {
        [libc::NFPROTO_IPV4, libc::NFPROTO_IPV6].map(|family| Self {
            family,
            table: "nat",
            name: name.to_owned(),
        })
    }

    /// The chain with the rule of iptables that guards the node's loopback address.
    pub(crate) fn guarding() -> Self {
        Self {
            family: libc::NFPROTO_IPV4,
            table: "raw",
            name: "PREROUTING".to_owned(),
        }
    }

    /// The chain with one rule per port that only one MAC may send through.
    fn mac_checks() -> Self {
        Self::of_bridges("PREROUTING".to_owned())
    }

    /// The chain of an attachment's port; `reference` is [`reference_of`] the attachment.
    pub(crate) fn of_port(reference: &str) -> Self {
        Self::of_bridges(format!("cni-br-iface-{reference}"))
    }

    /// The chain that compares the MAC of an attachment.
    fn of_mac(reference: &str) -> Self {
        Self::of_bridges(format!("cni-br-iface-{reference}-mac"))
    }

    fn of_bridges(name: String) -> Self {
        Self {
            family: libc::NFPROTO_BRIDGE,
            table: "nat",
            name,
        }
    }

    fn attributes(&self) -> Attributes {
        Attributes::new()
            .text(TABLE, self.table)
            .text(chain::NAME, &self.name)
    }

    /// Removes the chain and its rules.
    fn delete(&self) -> Edit {
        let what = format!("remove chain {} of table {}", self.name, self.table);
        Message::DeleteChain.foreign_edit(self.family as u8, what, self.attributes())
    }

    fn delete_rule(&self, rule: &ListedRule) -> Edit {
        let what = format!(
            "remove a rule of chain {} of table {}",
            self.name, self.table
        );
        Message::DeleteRule.foreign_edit(self.family as u8, what, rule.attributes(self.table))
    }
}

impl Question for ForeignChain {
    type Answer = ();

    fn request(&self) -> KernelRequest {
        let what = format!("find chain {} of table {}", self.name, self.table);
        Message::GetChain.request(self.family as u8, what, self.attributes())
    }

    fn read(&self, _: &KernelMessage<'_>) -> Result<(), Malformed> {
        Ok(())
    }
}

/// The parts of a port map of the Go plugin.
enum PortMapTrace {
    /// A container's chain of iptables in nftables.
    Chain(ForeignChain),
    /// The plugin's table of nftables, in this family.
    Table(i32),
}

impl Question for PortMapTrace {
    type Answer = ();

    fn request(&self) -> KernelRequest {
        match self {
            Self::Chain(chain) => chain.request(),
            Self::Table(family) => {
                let what = format!("find table {HOST_PORT_TABLE}");
                let attributes = Attributes::new().text(TABLE, HOST_PORT_TABLE);
                Message::GetTable.request(*family as u8, what, attributes)
            }
        }
    }

    fn read(&self, _: &KernelMessage<'_>) -> Result<(), Malformed> {
        Ok(())
    }
}

/// The chain of iptables from which the Go plugin's port maps are reached, and the table that it
/// has in nftables.
pub(crate) const HOST_PORTS: &str = "CNI-HOSTPORT-DNAT";
const HOST_PORT_TABLE: &str = "cni_hostport";

impl Kernel {
    /// Adds what rules in nftables say about containers: those of iptables, and those of the Go
    /// plugins' own tables.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn note_foreign(&mut self, foreign: &mut ForeignRules) -> Result<(), FirewallError> {
        for family in [libc::NFPROTO_IPV4, libc::NFPROTO_IPV6] {
            foreign.note(&self.nat_rules(family)?);
            let request = ListedRule::list(family as u8, HOST_PORT_TABLE, None);
            let rules = self.dump(&request, ListedRule::read)?;
            let ids = rules.iter().filter_map(|rule| rule.comment.parse().ok());
            foreign.mapped.extend(ids);
        }
        let rules = self.rules_of_chain(&ForeignChain::masquerading())?;
        let owners = rules.iter().filter_map(|rule| masqueraded(&rule.comment));
        foreign.named.extend(owners);
        Ok(())
    }

    /// The rules of the Go plugins in the table `nat` of iptables.
    fn nat_rules(&mut self, family: i32) -> Result<Vec<NatRule>, FirewallError> {
        let request = ListedRule::list(family as u8, "nat", None);
        self.dump(&request, |reply| {
            let rule = ListedRule::read(reply)?.map(|rule| {
                let comment = comment_of_iptables(&rule);
                let owner = comment.as_deref().and_then(owner_in_comment);
                NatRule {
                    owner: owner.map(|(network, id)| (network.to_owned(), id.to_owned())),
                    target: rule.target().map(str::to_owned),
                    chain: rule.chain,
                }
            });
            Ok(rule.filter(NatRule::is_of_cni))
        })
    }

    /// Removes a chain of the table `nat` of iptables, unless a rule leads to it.
    ///
    /// # Errors
    /// If the kernel refuses; then nothing has changed.
    pub(crate) fn remove_unreached(&mut self, chain: &ForeignChain) -> Result<(), FirewallError> {
        self.until_done(|this| {
            if this.ask_one(chain)?.is_none() {
                return Ok(None);
            }
            let mut rules = this.nat_rules(chain.family)?.into_iter();
            if rules.any(|rule| rule.target.as_ref() == Some(&chain.name)) {
                return Ok(None);
            }
            this.commit(Transaction::of([chain.delete()]))
        })
    }

    /// The links whose `route_localnet` is on, of which port maps of the Go plugin may need any.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn open_links(&mut self, towards: Towards<'_>) -> Result<Open, FirewallError> {
        let in_iptables = self.rules_of_chain(&host_ports_of(libc::NFPROTO_IPV4))?;
        let request = ListedRule::list(libc::NFPROTO_IPV4 as u8, HOST_PORT_TABLE, None);
        let rules = self.dump(&request, ListedRule::read)?;
        let mut comments = rules.iter().map(|rule| &rule.comment);
        let has_any = !in_iptables.is_empty() || comments.any(|comment| !comment.is_empty());
        if has_any || may_have_legacy_port_maps() {
            return Ok(Open::ByOthers);
        }
        Open::read(towards)
    }

    /// Removes the Go plugin's port map of a container, which all of its interfaces share in
    /// nftables.
    ///
    /// # Errors
    /// If the kernel refuses; then a part may have been removed.
    pub(crate) fn remove_port_map_of_go(
        &mut self,
        owner: NetworkAttachment<'_>,
    ) -> Result<(), FirewallError> {
        let id = owner.attachment.container_id.as_str();
        let chain = port_map_chain(owner.network.as_str(), id);
        let chains = ForeignChain::of_iptables(&chain).map(PortMapTrace::Chain);
        let tables = [libc::NFPROTO_IPV4, libc::NFPROTO_IPV6].map(PortMapTrace::Table);
        let traces: Vec<_> = chains.into_iter().chain(tables).collect();
        for (trace, found) in traces.iter().zip(self.ask(&traces)?) {
            match (found, trace) {
                (None, _) => {}
                (Some(()), PortMapTrace::Chain(chain)) => {
                    self.remove_port_map_chains(chain.family, |name| name == chain.name)?;
                    // Somebody may have flushed the chain with the jumps.
                    self.remove_unreached(chain)?;
                }
                (Some(()), PortMapTrace::Table(family)) => {
                    self.remove_host_port_rules(*family, |comment| comment == id)?;
                }
            }
        }
        Ok(())
    }

    /// Removes the Go plugin's port maps of a network's containers that are no longer valid. Those
    /// in its table of nftables do not name their network, and stay.
    ///
    /// # Errors
    /// If the kernel refuses; then a part may have been removed.
    pub(crate) fn gc_port_maps_of_go(
        &mut self,
        network: &str,
        valid: &ValidAttachments,
    ) -> Result<(), FirewallError> {
        for family in [libc::NFPROTO_IPV4, libc::NFPROTO_IPV6] {
            let host_ports = host_ports_of(family);
            let rules = self.rules_of_chain(&host_ports)?;
            let stale: HashSet<String> = rules
                .iter()
                .filter_map(|rule| {
                    let comment = comment_of_iptables(rule)?;
                    let (name, id) = port_map_owner(&comment)?;
                    let is_stale = name == network && !valid.contains_container(id);
                    is_stale.then(|| port_map_chain(name, id))
                })
                .collect();
            if !stale.is_empty() {
                self.remove_port_map_chains(family, |name| stale.contains(name))?;
            }
        }
        Ok(())
    }

    /// Removes chains of port maps that iptables has in nftables, with the jumps to them.
    fn remove_port_map_chains(
        &mut self,
        family: i32,
        is_doomed: impl Fn(&str) -> bool,
    ) -> Result<(), FirewallError> {
        let host_ports = host_ports_of(family);
        self.until_done(|this| {
            let rules = this.rules_of_chain(&host_ports)?;
            let jumps: Vec<_> = rules
                .iter()
                .filter(|rule| rule.target().is_some_and(&is_doomed))
                .collect();
            let targets = jumps.iter().filter_map(|rule| rule.target());
            let names: HashSet<&str> = targets.collect();
            let chains: Vec<_> = names
                .into_iter()
                .map(|name| ForeignChain {
                    name: name.to_owned(),
                    ..host_ports.clone()
                })
                .collect();
            let edits = jumps.into_iter().map(|rule| host_ports.delete_rule(rule));
            let edits = edits.chain(chains.iter().map(ForeignChain::delete));
            this.commit(Transaction::of(edits))
        })
    }

    /// Removes rules of the Go plugin's table of nftables by their comments.
    fn remove_host_port_rules(
        &mut self,
        family: i32,
        is_doomed: impl Fn(&str) -> bool,
    ) -> Result<(), FirewallError> {
        let request = ListedRule::list(family as u8, HOST_PORT_TABLE, None);
        self.until_done(|this| {
            let rules = this.dump(&request, ListedRule::read)?;
            let doomed = rules.iter().filter(|rule| is_doomed(&rule.comment));
            let edits = doomed.map(|rule| {
                let chain = ForeignChain {
                    family,
                    table: HOST_PORT_TABLE,
                    name: rule.chain.clone(),
                };
                chain.delete_rule(rule)
            });
            this.commit(Transaction::of(edits))
        })
    }

    /// Removes the Go plugin's rules that masquerade an attachment.
    ///
    /// # Errors
    /// If the kernel refuses; then nothing has changed.
    pub(crate) fn remove_masquerading_of_go(
        &mut self,
        owner: NetworkAttachment<'_>,
    ) -> Result<(), FirewallError> {
        let token = token_of(owner);
        self.remove_masquerading(|comment| comment.starts_with(&token))
    }

    /// Removes the Go plugin's rules against spoofed MACs of an attachment.
    ///
    /// # Errors
    /// If the kernel refuses; then nothing has changed.
    pub(crate) fn remove_mac_check_of_go(
        &mut self,
        attachment: &Attachment,
    ) -> Result<(), FirewallError> {
        self.remove_mac_check(&reference_of(attachment))
    }

    /// Removes the Go plugin's rules of a network's attachments that are no longer valid. The rules
    /// against spoofed MACs do not name their network; they go once their port no longer exists.
    ///
    /// # Errors
    /// If the kernel refuses; then a part may have been removed.
    pub(crate) fn gc_of_go(
        &mut self,
        network: &str,
        valid: &ValidAttachments,
    ) -> Result<(), FirewallError> {
        let of_network = format!("{}-", digits(network));
        let tokens = LazyCell::new(|| -> HashSet<_> {
            let tokens = valid
                .iter()
                .map(|it| of_network.clone() + &attachment_token(&it.container_id, &it.ifname));
            tokens.collect()
        });
        self.remove_masquerading(|comment| {
            let token = comment.split(',').next();
            let is_valid = || token.is_some_and(|token| tokens.contains(token));
            comment.starts_with(&of_network) && !is_valid()
        })?;
        let references = LazyCell::new(|| -> HashSet<_> {
            let references = valid
                .iter()
                .map(|it| reference(&it.container_id, &it.ifname));
            references.collect()
        });
        for rule in self.rules_of_chain(&ForeignChain::mac_checks())? {
            let Some(reference) = rule.comment.strip_prefix(MAC_COMMENT) else {
                continue;
            };
            if !references.contains(reference) && is_port_gone(&rule)? {
                self.remove_mac_check(reference)?;
            }
        }
        Ok(())
    }

    /// The number of effective rules of the Go plugin that masquerade an attachment: one per
    /// address.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn count_masquerading_of_go(
        &mut self,
        owner: NetworkAttachment<'_>,
    ) -> Result<usize, FirewallError> {
        let chain = ForeignChain::masquerading();
        let postrouting = ForeignChain {
            name: "postrouting".to_owned(),
            ..ForeignChain::masquerading()
        };
        if !self.has_rule_to(&postrouting, &chain)? {
            return Ok(0);
        }
        let token = token_of(owner);
        let rules = self.rules_of_chain(&chain)?;
        let own = rules.iter().filter(|it| it.comment.starts_with(&token));
        Ok(own.count())
    }

    /// Whether the Go plugin lets only an attachment's MAC send through its port.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn has_mac_check_of_go(
        &mut self,
        attachment: &Attachment,
    ) -> Result<bool, FirewallError> {
        let reference = reference_of(attachment);
        let of_port = ForeignChain::of_port(&reference);
        let of_mac = ForeignChain::of_mac(&reference);
        if !self.has_rule_to(&ForeignChain::mac_checks(), &of_port)?
            || !self.has_rule_to(&of_port, &of_mac)?
        {
            return Ok(false);
        }
        // One rule lets the MAC pass, the other one drops the rest.
        Ok(self.rules_of_chain(&of_mac)?.len() >= 2)
    }

    /// Whether a rule of a chain jumps or goes to another chain.
    fn has_rule_to(
        &mut self,
        from: &ForeignChain,
        to: &ForeignChain,
    ) -> Result<bool, FirewallError> {
        let leads_there = |rule: &ListedRule| rule.target().is_some_and(|it| it == to.name);
        Ok(self.rules_of_chain(from)?.iter().any(leads_there))
    }

    fn remove_masquerading(
        &mut self,
        is_doomed: impl Fn(&str) -> bool,
    ) -> Result<(), FirewallError> {
        let chain = ForeignChain::masquerading();
        self.until_done(|this| {
            let rules = this.rules_of_chain(&chain)?;
            let doomed = rules.iter().filter(|rule| is_doomed(&rule.comment));
            this.commit(Transaction::of(doomed.map(|rule| chain.delete_rule(rule))))
        })
    }

    fn remove_mac_check(&mut self, reference: &str) -> Result<(), FirewallError> {
        let checks = ForeignChain::mac_checks();
        let comment = format!("{MAC_COMMENT}{reference}");
        // A rule that jumps to a chain has to go before the chain.
        let chains = [
            ForeignChain::of_port(reference),
            ForeignChain::of_mac(reference),
        ];
        self.until_done(|this| {
            let rules = this.rules_of_chain(&checks)?;
            let jumps = rules.iter().filter(|rule| rule.comment == comment);
            let answers = this.ask(&chains)?;
            let existing = chains.iter().zip(answers).filter(|(_, it)| it.is_some());
            let jumps = jumps.map(|rule| checks.delete_rule(rule));
            let existing = existing.map(|(chain, _)| chain.delete());
            this.commit(Transaction::of(jumps.chain(existing)))
        })
    }

    /// The rules of a chain; none if the chain does not exist.
    ///
    /// # Errors
    /// If the kernel refuses to answer.
    pub(crate) fn rules_of_chain(
        &mut self,
        chain: &ForeignChain,
    ) -> Result<Vec<ListedRule>, FirewallError> {
        let request = ListedRule::list(chain.family as u8, chain.table, Some(&chain.name));
        self.dump(&request, ListedRule::read)
    }
}

fn host_ports_of(family: i32) -> ForeignChain {
    ForeignChain {
        family,
        table: "nat",
        name: HOST_PORTS.to_owned(),
    }
}

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
fn comment_of_iptables(rule: &ListedRule) -> Option<String> {
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
fn owner_in_comment(comment: &str) -> Option<(&str, &str)> {
    let owner = comment.strip_prefix("dnat ").unwrap_or(comment);
    let (name, rest) = owner.strip_prefix("name: \"")?.split_once("\" id: \"")?;
    Some((name, rest.strip_suffix('"')?))
}

/// The attachment in the comment of a rule that masquerades it: `<token>, net: <network>, if:
/// <interface>, id: <container ID>`. `None` if the comment is cut off, as it is after 128 bytes.
fn masqueraded(comment: &str) -> Option<NamedContainer> {
    let (token, rest) = comment.split_once(", net: ")?;
    let (network, rest) = rest.split_once(", if: ")?;
    let (ifname, id) = rest.split_once(", id: ")?;
    if token != masquerading_token(network, id, ifname) {
        return None;
    }
    NamedContainer::new((network, id), Some(ifname), RuleEffect::Masquerades)
}

/// Whether the port that a rule compares with does not exist. The Go plugin creates the port first.
fn is_port_gone(rule: &ListedRule) -> Result<bool, FirewallError> {
    let mut comparisons = rule.data_of("cmp");
    let (Some(comparison), None) = (comparisons.next(), comparisons.next()) else {
        return Ok(false);
    };
    let name = find(comparison, cmp::DATA)
        .and_then(|value| text(value, data::VALUE))
        .unwrap_or_default();
    Ok(!name.is_empty() && Rtnetlink::open()?.link_by_name(name)?.is_none())
}

/// The part of the Go plugin's chain names that identifies an attachment.
pub(crate) fn reference_of(attachment: &Attachment) -> String {
    reference(attachment.container_id.as_str(), attachment.ifname.as_str())
}

fn reference(container_id: &str, ifname: &str) -> String {
    format!("{container_id}-{ifname}")
}

fn token_of(owner: NetworkAttachment<'_>) -> String {
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

fn attachment_token(container_id: &str, ifname: &str) -> String {
    digits(&format!("{ifname}:{container_id}"))
}

/// The first 16 digits of a SHA-512.
fn digits(text: &str) -> String {
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
