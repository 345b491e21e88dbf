//! Chains and rules of the Go plugins in nftables (`pkg/ip` and `pkg/link` of
//! containernetworking/plugins): finding them by names and comments, and removing those of an
//! attachment. Tables stay.

mod foreign_chain;
mod names;

use std::cell::LazyCell;
use std::collections::HashSet;

use cni_types::{Attachment, ValidAttachments};
use netlink::attributes::{Attributes, Malformed, find, text};
use netlink::{KernelMessage, KernelRequest, Rtnetlink};
use nix::libc;

pub(crate) use self::foreign_chain::ForeignChain;
pub use self::names::port_map_chain;
use self::names::{
    MAC_COMMENT, attachment_token, comment_of_iptables, digits, masqueraded, owner_in_comment,
    reference, token_of,
};
pub(crate) use self::names::{port_map_owner, reference_of};
use crate::FirewallError;
use crate::all::may_have_legacy_port_maps;
use crate::edit::{Message, Transaction};
use crate::kernel::{Kernel, Question};
use crate::named::{ForeignRules, NatRule};
use crate::nf_tables::{TABLE, cmp, data};
use crate::owner::NetworkAttachment;
use crate::port_map::loopback::{Open, Towards};
use crate::rule::ListedRule;

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
