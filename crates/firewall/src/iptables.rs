//! Masquerading by the programs of iptables, with the rules of the Go plugins.

use std::fmt::Write as _;
use std::net::IpAddr;

use cni_types::{Attachment, NetworkName, ValidAttachments};
use hmac_sha512::Hash;
use ipnetwork::IpNetwork;

use crate::go::HOST_PORTS;
pub(crate) use crate::iptables::family::Tables;
use crate::iptables::family::{IPV4, IPV6, Programs, on_both};
use crate::iptables::rules::{jumps, nat_rules, removal, removal_with_chains, stale_jumps};
use crate::named::{ForeignRules, RuleEffect};
use crate::namespace_lock::NamespaceLock;
use crate::{FirewallError, Missing};

mod family;
pub(crate) mod port_map;
mod program;
mod rules;

/// The chain of the table `nat` from which masqueraded packets reach the containers' chains.
pub(crate) const POSTROUTING: &str = "POSTROUTING";

/// The chains with jumps whose comments name containers, and the effect of these jumps.
pub(crate) const NAMING: [(&str, RuleEffect); 2] = [
    (POSTROUTING, RuleEffect::Masquerades),
    (HOST_PORTS, RuleEffect::MapsPorts),
];

/// Rules that the programs `iptables` and `ip6tables` create, as with the Go plugins: one chain per
/// container of a network, which all of its interfaces share, and one jump to it per address.
///
/// Either side, this crate and the Go plugins, can remove the rules of the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Iptables;

impl Iptables {
    /// Masquerades packets from an attachment's addresses, except to the addresses' own networks
    /// and to multicast groups.
    ///
    /// # Errors
    /// [`FirewallError::NoProgram`], and if a program fails.
    pub fn masquerade(
        &self,
        network: &NetworkName,
        attachment: &Attachment,
        addresses: &[IpNetwork],
    ) -> Result<(), FirewallError> {
        let lock = lock_chain(&chain_of(network, attachment))?;
        for programs in [IPV4, IPV6].map(|programs| programs.with(&lock)) {
            let mut addresses = addresses.to_vec();
            addresses.retain(|address| address.is_ipv4() == programs.is_ipv4);
            if !addresses.is_empty() {
                programs.masquerade(network, attachment, &addresses)?;
            }
        }
        Ok(())
    }

    /// Removes an attachment's rules. Attachments of a container to the same network share a chain,
    /// so this removes the jumps for the attachment's `addresses`, and the chain once no jump is
    /// left; and all jumps if the addresses are not known.
    ///
    /// # Errors
    /// [`FirewallError::NoProgram`] without `iptables`, and if a program fails. Without
    /// `ip6tables`, or without the kernel's part of it, there is nothing to remove for IPv6.
    pub fn remove(
        &self,
        network: &NetworkName,
        attachment: &Attachment,
        addresses: Option<&[IpNetwork]>,
    ) -> Result<(), FirewallError> {
        let chain = chain_of(network, attachment);
        let lock = lock_chain(&chain)?;
        self.remove_chain(Tables::Chosen, &chain, addresses, &lock)
    }

    /// As [`Iptables::remove`], from some tables, for a caller that holds the chain's lock.
    ///
    /// # Errors
    /// As [`Iptables::remove`].
    pub(crate) fn remove_chain(
        &self,
        tables: Tables,
        chain: &str,
        addresses: Option<&[IpNetwork]>,
        lock: &NamespaceLock,
    ) -> Result<(), FirewallError> {
        // The oldest Go plugins have a jump per network instead of one per address.
        let is_own = |source: IpAddr| {
            let mut addresses = addresses.unwrap_or_default().iter();
            addresses.any(|it| it.ip() == source || it.network() == source)
        };
        on_both(tables, |programs| {
            let programs = programs.with(lock);
            let Ok(rules) = programs.rules(POSTROUTING)? else {
                return Ok(());
            };
            let to_it = jumps(&rules, POSTROUTING).filter(|jump| jump.chain == chain);
            let (own, others): (Vec<_>, Vec<_>) =
                to_it.partition(|jump| addresses.is_none() || jump.source().is_none_or(is_own));
            if !others.is_empty() {
                return programs.apply(&removal(&own, &[]));
            }
            // A killed ADD may have left a chain without a jump.
            if own.is_empty() && programs.rules(chain)?.is_err() {
                return Ok(());
            }
            programs.apply(&removal(&own, &[chain]))
        })
    }

    /// The first rule of [`Iptables::masquerade`] that is missing; `None` if all exist.
    ///
    /// # Errors
    /// As [`Iptables::masquerade`].
    pub fn missing_masquerading(
        &self,
        network: &NetworkName,
        attachment: &Attachment,
        addresses: &[IpNetwork],
    ) -> Result<Option<Missing>, FirewallError> {
        let chain = chain_of(network, attachment);
        self.missing_in(Tables::Chosen, &chain, addresses)
    }

    /// As [`Iptables::missing_masquerading`], in some tables.
    ///
    /// # Errors
    /// As [`Iptables::masquerade`].
    pub(crate) fn missing_in(
        &self,
        tables: Tables,
        chain: &str,
        addresses: &[IpNetwork],
    ) -> Result<Option<Missing>, FirewallError> {
        for programs in [IPV4, IPV6].map(|programs| programs.on(tables)) {
            let of_family = |address: &&IpNetwork| address.is_ipv4() == programs.is_ipv4;
            let addresses: Vec<_> = addresses.iter().filter(of_family).collect();
            if addresses.is_empty() {
                continue;
            }
            let rules = programs.rules(POSTROUTING)?.unwrap_or_default();
            let to_it = jumps(&rules, POSTROUTING).filter(|jump| jump.chain == chain);
            let sources: Vec<_> = to_it.filter_map(|jump| jump.source()).collect();
            let own = programs.rules(chain)?.unwrap_or_default();
            let masquerades = own.lines().any(|rule| rule.ends_with("-j MASQUERADE"));
            let has_jump = |address: &IpNetwork| masquerades && sources.contains(&address.ip());
            if let Some(address) = addresses.into_iter().find(|address| !has_jump(address)) {
                let missing = Missing::Masquerading {
                    address: *address,
                    location: String::new(),
                    lack: "",
                };
                return Ok(Some(missing.in_iptables(chain)));
            }
        }
        Ok(None)
    }

    /// Removes the rules of a network's containers that no longer have a valid attachment. The
    /// rules' comments name the containers.
    ///
    /// # Errors
    /// As [`Iptables::remove`].
    pub fn gc(&self, network: &NetworkName, valid: &ValidAttachments) -> Result<(), FirewallError> {
        self.gc_from(Tables::Chosen, network, valid)
    }

    /// Adds what the rules of some tables say about containers.
    ///
    /// # Errors
    /// As [`Iptables::remove`].
    pub(crate) fn note(
        &self,
        tables: Tables,
        foreign: &mut ForeignRules,
    ) -> Result<(), FirewallError> {
        on_both(tables, |programs| {
            let rules = programs.list("nat", None)?.unwrap_or_default();
            let of_cni: Vec<_> = nat_rules(&rules).filter(|it| it.is_of_cni()).collect();
            foreign.note(&of_cni);
            Ok(())
        })
    }

    /// Removes a chain from some tables, unless a rule leads to it, for a caller that holds the
    /// chain's lock.
    ///
    /// # Errors
    /// As [`Iptables::remove`].
    pub(crate) fn remove_unreached(
        &self,
        tables: Tables,
        chain: &str,
        lock: &NamespaceLock,
    ) -> Result<(), FirewallError> {
        on_both(tables, |programs| {
            let programs = programs.with(lock);
            let rules = programs.list("nat", None)?.unwrap_or_default();
            let is_reached = nat_rules(&rules).any(|it| it.target.as_deref() == Some(chain));
            let creation = format!("-N {chain}");
            if is_reached || !rules.lines().any(|line| line.trim_end() == creation) {
                return Ok(());
            }
            programs.apply(&removal(&[], &[chain]))
        })
    }

    /// [`Iptables::gc`] from some tables.
    ///
    /// # Errors
    /// As [`Iptables::remove`].
    pub(crate) fn gc_from(
        &self,
        tables: Tables,
        network: &NetworkName,
        valid: &ValidAttachments,
    ) -> Result<(), FirewallError> {
        on_both(tables, |programs| {
            let Ok(rules) = programs.rules(POSTROUTING)? else {
                return Ok(());
            };
            let stale = stale_jumps(&rules, POSTROUTING, network, valid, chain_name);
            programs.apply(&removal_with_chains(&stale))
        })
    }
}

impl Programs<'_> {
    fn masquerade(
        self,
        network: &NetworkName,
        attachment: &Attachment,
        addresses: &[IpNetwork],
    ) -> Result<(), FirewallError> {
        let (name, id) = (network.as_str(), attachment.container_id.as_str());
        let chain = chain_name(name, id);
        let comment = format!(r#"-m comment --comment "name: \"{name}\" id: \"{id}\"""#);
        let rules = self.rules(POSTROUTING)??;
        let jumped_from: Vec<_> = jumps(&rules, POSTROUTING)
            .filter(|jump| jump.chain == chain)
            .filter_map(|jump| jump.source())
            .collect();
        // Another interface of the container in the same network shares the chain.
        let existing = self.rules(&chain)?.unwrap_or_default();
        let prefix = format!("-A {chain} ");
        let mut accepts: Vec<String> = existing
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix))
            .filter(|rule| rule.ends_with("-j ACCEPT"))
            .map(str::to_owned)
            .collect();
        for address in addresses {
            let (network, length) = (address.network(), address.prefix());
            let accept = format!("-d {network}/{length} {comment} -j ACCEPT");
            if !accepts.contains(&accept) {
                accepts.push(accept);
            }
        }
        let mut lines = format!(":{chain} - [0:0]\n");
        for accept in accepts {
            let _ = writeln!(lines, "-A {chain} {accept}");
        }
        let multicast = self.multicast;
        let _ = writeln!(lines, "-A {chain} ! -d {multicast} {comment} -j MASQUERADE");
        for address in addresses {
            let ip = address.ip();
            if !jumped_from.contains(&ip) {
                let _ = writeln!(lines, "-A POSTROUTING -s {ip} {comment} -j {chain}");
            }
        }
        self.apply(&lines)
    }
}

/// Locks a container's chain for this process and the programs that it runs: a program that is
/// killed along with its plugin may be in the middle of a change, which the kernel completes, and a
/// DEL that follows has to find the result.
///
/// # Errors
/// If the kernel gives no socket.
pub(crate) fn lock_chain(chain: &str) -> Result<NamespaceLock, FirewallError> {
    NamespaceLock::take(&format!("iptables/{chain}")).map_err(FirewallError::ChainLock)
}

/// The name of the chain of an attachment's container.
pub(crate) fn chain_of(network: &NetworkName, attachment: &Attachment) -> String {
    chain_name(network.as_str(), attachment.container_id.as_str())
}

/// The name of a container's chain, as with the Go plugins: `CNI-` and as many digits of a SHA-512
/// as make 28 characters.
fn chain_name(network: &str, container_id: &str) -> String {
    let mut name = String::from("CNI-");
    for byte in Hash::hash(format!("{network}{container_id}").as_bytes())
        .iter()
        .take(12)
    {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    // From pkg/utils/utils_test.go of the Go plugins.
    #[test]
    fn chains_have_the_names_that_the_go_plugins_give() {
        for (network, id, name) in [
            ("test", "1234", "CNI-2bbe0c48b91a7d1b8a6753a8"),
            (
                "testalongnamethatdoesnotmakesense",
                "1234",
                "CNI-374f33fe84ab0ed84dcdebe3",
            ),
        ] {
            assert_eq!(chain_name(network, id), name);
        }
    }
}
