//! DEL, GC and CHECK of an attachment's rules, whatever created them: this configuration, an
//! earlier one with another backend, or the Go plugins. Only existing rules count.

use std::fs;
use std::io::ErrorKind;

use cni_types::{Attachment, NetworkName, ValidAttachments};
use ipnetwork::IpNetwork;
use netlink::Mac;

use crate::go::{ForeignChain, reference_of};
use crate::iptables::{POSTROUTING, Tables, chain_of, lock_chain};
use crate::kernel::Kernel;
use crate::owner::NetworkAttachment;
use crate::rule::ListedRule;
use crate::{Backend, FirewallError, Iptables, Missing, Nftables};

/// Removes an attachment's rules, whatever has created them; it is no error if there are none.
/// `addresses` are the attachment's, if they are known ([`Iptables::remove`]).
///
/// Only programs can read the kernel's legacy iptables tables; they run if the configuration
/// masquerades (`may_masquerade`), or may have done so.
///
/// # Errors
/// If some rules may be left.
pub fn remove(
    network: &NetworkName,
    attachment: &Attachment,
    addresses: Option<&[IpNetwork]>,
    may_masquerade: bool,
) -> Result<(), FirewallError> {
    let mut nftables = Nftables::open()?;
    // An address that Twill's tables masquerade has no other rules.
    if nftables.remove(network, attachment)? {
        return Ok(());
    }
    let owner = NetworkAttachment {
        network,
        attachment,
    };
    // Programs that a killed ADD has started may not be done yet.
    let chain = chain_of(network, attachment);
    let lock = lock_chain(&chain)?;
    let kernel = &mut nftables.kernel;
    let traces = kernel.traces_of(owner)?;
    if traces.go_mac_check {
        kernel.remove_mac_check_of_go(attachment)?;
    }
    if traces.go_masquerading {
        kernel.remove_masquerading_of_go(owner)?;
    }
    for tables in tables_with_rules(traces.iptables, may_masquerade) {
        unless_not_installed(Iptables.remove_chain(tables, &chain, addresses, &lock))?;
    }
    Ok(())
}

/// Removes the rules of a network's stale attachments, by any backend, and Twill's tables once they
/// are empty. Repairs the rest of Twill's tables.
///
/// # Errors
/// If some rules may be left.
pub fn gc(
    network: &NetworkName,
    valid: &ValidAttachments,
    may_masquerade: bool,
) -> Result<(), FirewallError> {
    let mut nftables = Nftables::open()?;
    nftables.gc(network, valid)?;
    nftables.kernel.gc_of_go(network.as_str(), valid)?;
    let is_in_nftables = nftables.kernel.has_chains_of_iptables()?;
    for tables in tables_with_rules(is_in_nftables, may_masquerade) {
        unless_not_installed(Iptables.gc_from(tables, network, valid))?;
    }
    Ok(())
}

/// Removes a chain of iptables with a container's port map; nothing happens if a rule leads to it.
///
/// # Errors
/// If the rules cannot be read or changed.
pub fn remove_unreached_port_map(chain: &str) -> Result<(), FirewallError> {
    let lock = lock_chain(chain)?;
    let mut kernel = Kernel::open()?;
    for chain in ForeignChain::of_iptables(chain) {
        kernel.remove_unreached(&chain)?;
    }
    for tables in tables_with_rules(false, true) {
        unless_not_installed(Iptables.remove_unreached(tables, chain, &lock))?;
    }
    Ok(())
}

/// The first address of an attachment that is not masqueraded by any backend; `None` if all are.
/// `backend` is the one that a new attachment would get.
///
/// # Errors
/// If the rules cannot be read.
pub fn missing_masquerading(
    backend: Backend,
    network: &NetworkName,
    attachment: &Attachment,
    addresses: &[IpNetwork],
) -> Result<Option<Missing>, FirewallError> {
    let mut nftables = Nftables::open()?;
    let missing = nftables.missing_masquerading(network, attachment, addresses)?;
    let Some(missing) = missing else {
        return Ok(None);
    };
    let owner = NetworkAttachment {
        network,
        attachment,
    };
    let kernel = &mut nftables.kernel;
    if kernel.has_addresses(owner)? {
        return Ok(Some(missing));
    }
    if kernel.count_masquerading_of_go(owner)? >= addresses.len() {
        return Ok(None);
    }
    let traces = kernel.traces_of(owner)?;
    let chain = chain_of(network, attachment);
    let is_by_iptables = backend == Backend::Iptables || traces.iptables;
    let mut in_iptables = None;
    for tables in tables_with_rules(traces.iptables, true) {
        match Iptables.missing_in(tables, &chain, addresses) {
            Ok(None) => return Ok(None),
            Ok(Some(missing)) => in_iptables = in_iptables.or(Some(missing)),
            Err(error) if backend == Backend::Iptables => return Err(error),
            Err(_) => {}
        }
    }
    Ok(Some(match in_iptables.filter(|_| is_by_iptables) {
        Some(missing) => missing,
        None if backend == Backend::Iptables => missing.in_iptables(&chain),
        None => missing,
    }))
}

/// The missing rule or element if other MACs than the attachment's can send through its port;
/// `None` if none can, by any backend.
///
/// # Errors
/// If the rules cannot be read.
pub fn missing_mac_check(
    network: &NetworkName,
    attachment: &Attachment,
    port: &str,
    mac: Mac,
) -> Result<Option<Missing>, FirewallError> {
    let mut nftables = Nftables::open()?;
    let missing = nftables.missing_mac_check(network, attachment, port, mac)?;
    if missing.is_some() && nftables.kernel.has_mac_check_of_go(attachment)? {
        return Ok(None);
    }
    Ok(missing)
}

/// The rules of an attachment outside Twill's tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traces {
    /// Its chain in the tables that iptables has in nftables.
    iptables: bool,
    /// The Go plugin's chain for all masqueraded addresses.
    go_masquerading: bool,
    /// The Go plugin's chain against spoofed MACs of this attachment.
    go_mac_check: bool,
}

impl Kernel {
    /// Looks for traces of an attachment, in one exchange.
    fn traces_of(&mut self, owner: NetworkAttachment<'_>) -> Result<Traces, FirewallError> {
        let reference = reference_of(owner.attachment);
        let chain = chain_of(owner.network, owner.attachment);
        let iptables = ForeignChain::of_iptables(&chain);
        let go_masquerading = ForeignChain::masquerading();
        let go_mac_check = ForeignChain::of_port(&reference);
        let chains = iptables.iter().chain([&go_masquerading, &go_mac_check]);
        let chains: Vec<&ForeignChain> = chains.collect();
        let answers = self.ask(chains.iter().copied())?;
        let found = chains.into_iter().zip(answers);
        let existing = found.filter_map(|(chain, answer)| answer.map(|()| chain));
        let existing: Vec<_> = existing.collect();
        Ok(Traces {
            iptables: iptables.iter().any(|chain| existing.contains(&chain)),
            go_masquerading: existing.contains(&&go_masquerading),
            go_mac_check: existing.contains(&&go_mac_check),
        })
    }

    /// Whether a rule jumps to a chain of the Go plugins in the tables that iptables has in
    /// nftables.
    fn has_chains_of_iptables(&mut self) -> Result<bool, FirewallError> {
        for chain in ForeignChain::of_iptables(POSTROUTING) {
            let rules = self.rules_of_chain(&chain)?;
            let leads_there =
                |rule: &ListedRule| rule.target().is_some_and(|it| it.starts_with("CNI-"));
            if rules.iter().any(leads_there) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The tables that programs of iptables have to look into. Only a program can look into the legacy
/// tables, so these are among them if they exist and may contain something.
pub(crate) fn tables_with_rules(
    is_in_nftables: bool,
    may_be_legacy: bool,
) -> impl Iterator<Item = Tables> {
    let nftables = is_in_nftables.then_some(Tables::Nftables);
    let legacy = (may_be_legacy && has_legacy_tables()).then_some(Tables::Legacy);
    nftables.into_iter().chain(legacy)
}

/// Whether the kernel has a legacy table `nat`, which a program of iptables has created.
pub(crate) fn has_legacy_tables() -> bool {
    LEGACY_FAMILIES
        .iter()
        .any(|family| has_legacy_table(family, "nat"))
}

/// Whether the Go plugin may have mapped ports in legacy tables of the kernel. Its rules match by
/// `multiport`, which the kernel lists once any rule has used it.
pub(crate) fn may_have_legacy_port_maps() -> bool {
    let may_have =
        |family: &&str| has_legacy_table(family, "nat") && lists(family, "matches", "multiport");
    LEGACY_FAMILIES.iter().any(may_have)
}

/// The families of legacy tables, as `/proc/net` names them.
const LEGACY_FAMILIES: [&str; 2] = ["ip", "ip6"];

/// Whether the kernel has a legacy table of this name for the family.
pub(crate) fn has_legacy_table(family: &str, table: &str) -> bool {
    lists(family, "names", table)
}

/// Whether the kernel lists a name in a file about legacy tables. A file that cannot be read may
/// list any name; there is none without legacy tables.
fn lists(family: &str, file: &str, name: &str) -> bool {
    match fs::read_to_string(format!("/proc/thread-self/net/{family}_tables_{file}")) {
        Ok(listed) => listed.lines().any(|line| line == name),
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

/// A program that is not installed has created nothing.
pub(crate) fn unless_not_installed(
    outcome: Result<(), FirewallError>,
) -> Result<(), FirewallError> {
    match outcome {
        Err(FirewallError::NoProgram { .. }) => Ok(()),
        outcome => outcome,
    }
}
