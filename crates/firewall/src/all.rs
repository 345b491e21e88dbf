//! What is done for an attachment whatever has made its rules: this configuration, an earlier one with another backend, or the
//! Go plugins. What counts is what is there.

use std::fs;
use std::io::ErrorKind;

use cni_types::{Attachment, NetworkName, ValidAttachments};
use ipnetwork::IpNetwork;
use netlink::{Bytes, Mac, Request};

use crate::go::{ForeignChain, Purpose, reference_of};
use crate::iptables::{Mark, Tables, chain_of};
use crate::rule::FoundRule;
use crate::{Backend, FirewallError, Iptables, Missing, Nftables};

/// Removes an attachment's rules, whatever has made them; it is no error if there are none. `addresses` are the attachment's,
/// if they are known ([`Iptables::remove`]).
///
/// Where the programs of iptables work on the kernel's older tables, only they can tell what is there; they are asked if the
/// configuration masquerades (`may_masquerade`), or may have done so.
///
/// # Errors
/// If something may be left.
pub fn remove(
    network: &NetworkName,
    attachment: &Attachment,
    addresses: Option<&[IpNetwork]>,
    may_masquerade: bool,
) -> Result<(), FirewallError> {
    let mut nftables = Nftables::open()?;
    // Who is masqueraded by our own tables is not masqueraded by others' as well.
    if nftables.remove(network, attachment)? {
        return Ok(());
    }
    // What a killed ADD has begun is not to be seen yet.
    let chain = chain_of(network, attachment);
    let mark = Mark::set(&chain).map_err(FirewallError::Mark)?;
    let traces = nftables.traces_of(network, attachment)?;
    if traces.go_mac_check {
        nftables.remove_of_go(network, attachment, Purpose::MacCheck)?;
    }
    if traces.go_masquerading {
        nftables.remove_of_go(network, attachment, Purpose::Masquerading)?;
    }
    for tables in tables_with_rules(traces.iptables, may_masquerade) {
        unless_not_installed(Iptables.remove_chain(tables, &chain, addresses, &mark))?;
    }
    Ok(())
}

/// Removes the rules of a network's attachments that are not valid any more, whatever has made them, and our tables when
/// nothing is left in them. Rules of ours that somebody has removed are put back.
///
/// # Errors
/// If something may be left.
pub fn collect(
    network: &NetworkName,
    valid: &ValidAttachments,
    may_masquerade: bool,
) -> Result<(), FirewallError> {
    let mut nftables = Nftables::open()?;
    nftables.collect(network, valid)?;
    nftables.collect_of_go(network, valid)?;
    let is_in_nftables = nftables.has_chains_of_iptables()?;
    for tables in tables_with_rules(is_in_nftables, may_masquerade) {
        unless_not_installed(Iptables.collect_from(tables, network, valid))?;
    }
    Ok(())
}

/// What is missing for an attachment's addresses to be masqueraded, by whatever; `None` if all is as it should be.
/// `backend` is what a new attachment's rules would be made with.
///
/// # Errors
/// If it cannot be known.
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
    if nftables.holds_addresses(network, attachment)? {
        return Ok(Some(missing));
    }
    if nftables.masquerades_by_go(network, attachment)? >= addresses.len() {
        return Ok(None);
    }
    let traces = nftables.traces_of(network, attachment)?;
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

/// What is missing for a port of a bridge to be held to an attachment's Ethernet address, by whatever; `None` if all is as it
/// should be.
///
/// # Errors
/// If it cannot be known.
pub fn missing_mac_check(
    network: &NetworkName,
    attachment: &Attachment,
    port: &str,
    mac: Mac,
) -> Result<Option<Missing>, FirewallError> {
    let mut nftables = Nftables::open()?;
    let missing = nftables.missing_mac_check(network, attachment, port, mac)?;
    if missing.is_some() && nftables.holds_to_mac_by_go(attachment)? {
        return Ok(None);
    }
    Ok(missing)
}

/// What there is of an attachment that our own tables know nothing of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traces {
    /// Its chain in the tables that iptables makes in nftables.
    iptables: bool,
    /// Any rule for masquerading of the Go plugin's in nftables.
    go_masquerading: bool,
    /// Its chain against false MACs of the Go plugin's.
    go_mac_check: bool,
}

impl Nftables {
    /// One exchange.
    fn traces_of(
        &mut self,
        network: &NetworkName,
        attachment: &Attachment,
    ) -> Result<Traces, FirewallError> {
        let reference = reference_of(attachment.container_id.as_str(), attachment.ifname.as_str());
        let chain = chain_of(network, attachment);
        let [ipv4, ipv6] = ForeignChain::of_iptables(&chain);
        let go = [
            ForeignChain::masquerading(),
            ForeignChain::of_port(&reference),
        ];
        let questions: Vec<Request<Bytes>> = [ipv4, ipv6]
            .iter()
            .chain(&go)
            .map(ForeignChain::find)
            .collect();
        let mut traces = Traces::default();
        self.ask_each(&questions, |position, _| {
            match position {
                0 | 1 => traces.iptables = true,
                2 => traces.go_masquerading = true,
                _ => traces.go_mac_check = true,
            }
            Ok(())
        })?;
        Ok(traces)
    }

    /// Whether anything leads to a chain of the Go plugins' making in the tables that iptables makes in nftables.
    fn has_chains_of_iptables(&mut self) -> Result<bool, FirewallError> {
        for chain in ForeignChain::of_iptables("POSTROUTING") {
            let rules = self.rules_of_chain(&chain)?;
            let leads_there =
                |rule: &FoundRule| rule.target().is_some_and(|chain| chain.starts_with("CNI-"));
            if rules.iter().any(leads_there) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The tables that a program of iptables has to look into. Only a program can look into the older ones, so these are among them
/// whenever they exist, if they may have anything in them.
fn tables_with_rules(is_in_nftables: bool, may_be_older: bool) -> impl Iterator<Item = Tables> {
    let nftables = is_in_nftables.then_some(Tables::Nftables);
    let legacy = (may_be_older && has_older_tables()).then_some(Tables::Legacy);
    nftables.into_iter().chain(legacy)
}

/// Whether the kernel has a table `nat` that is not in nftables, which a program of iptables has made.
fn has_older_tables() -> bool {
    ["ip", "ip6"].iter().any(|family| {
        let names = fs::read_to_string(format!("/proc/thread-self/net/{family}_tables_names"));
        match names {
            Ok(names) => names.lines().any(|name| name == "nat"),
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    })
}

/// Programs that are not there have made nothing.
fn unless_not_installed(outcome: Result<(), FirewallError>) -> Result<(), FirewallError> {
    match outcome {
        Err(FirewallError::NoProgram { .. }) => Ok(()),
        outcome => outcome,
    }
}
