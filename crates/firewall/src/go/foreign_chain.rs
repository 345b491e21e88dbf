//! Chains that this crate has not created.

use netlink::attributes::{Attributes, Malformed};
use netlink::{KernelMessage, KernelRequest};
use nix::libc;

use crate::edit::{Edit, Message};
use crate::kernel::Question;
use crate::nf_tables::{TABLE, chain};
use crate::rule::ListedRule;

/// A chain that this crate has not created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForeignChain {
    /// The `NFPROTO_*` number of its family.
    pub(crate) family: i32,
    pub(crate) table: &'static str,
    pub(crate) name: String,
}

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
    pub(super) fn mac_checks() -> Self {
        Self::of_bridges("PREROUTING".to_owned())
    }

    /// The chain of an attachment's port; `reference` is [`reference_of`] the attachment.
    pub(crate) fn of_port(reference: &str) -> Self {
        Self::of_bridges(format!("cni-br-iface-{reference}"))
    }

    /// The chain that compares the MAC of an attachment.
    pub(super) fn of_mac(reference: &str) -> Self {
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
    pub(super) fn delete(&self) -> Edit {
        let what = format!("remove chain {} of table {}", self.name, self.table);
        Message::DeleteChain.foreign_edit(self.family as u8, what, self.attributes())
    }

    pub(super) fn delete_rule(&self, rule: &ListedRule) -> Edit {
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
