//! Port maps by the programs of iptables, with the chains and rules of the Go plugin.

use std::fmt::Write as _;
use std::net::IpAddr;

use cni_types::{Attachment, NetworkName, ValidAttachments};

use ipnetwork::IpNetwork;

use super::{IPV4, IPV6, Programs, Tables, on_both};
use crate::all::has_legacy_table;
use crate::check::Missing;
use crate::go::{ForeignChain, port_map_chain};
use crate::iptables::lock_chain;
use crate::iptables::rules::{Jump, jumps, removal, removal_with_chains, stale_jumps};
use crate::kernel::Kernel;
use crate::port_map::{PortMap, PortMapping, Snat};
use crate::table::Table;
use crate::{FirewallError, Iptables};

mod conditions;

pub use conditions::{IptablesConditions, UnsupportedIptablesConditions};

/// The chain from which the containers' chains are reached.
const HOST_PORTS: &str = "CNI-HOSTPORT-DNAT";
/// The chain that marks packets that need SNAT.
const SET_MARK: &str = "CNI-HOSTPORT-SETMARK";
/// The chain that masquerades marked packets.
const MASQUERADE: &str = "CNI-HOSTPORT-MASQ";

/// The largest number of ports in one rule of iptables (`XT_MULTI_PORTS`).
const MOST_PORTS: usize = 15;

const SET_MARK_COMMENT: &str = r#"-m comment --comment "CNI portfwd masquerade mark""#;
const MASQUERADE_COMMENT: &str = r#"-m comment --comment "CNI portfwd requiring masquerade""#;
/// The table and the chain of the guard.
const RAW: &str = "raw";
const HOOK: &str = "PREROUTING";
const GUARD_COMMENT: &str = "twill: only the node uses its loopback addresses";

/// The fwmark of packets that need SNAT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FwMark {
    /// This bit of the fwmark.
    Bit(u8),
    /// An existing chain of another program, which sets the mark and also masquerades.
    Chain(String),
}

/// What [`Iptables::map_ports`] needs beside a [`PortMap`], whose own conditions it ignores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IptablesOptions {
    /// The fwmark of packets that need SNAT.
    pub mark: FwMark,
    /// The conditions for IPv4.
    pub conditions4: IptablesConditions,
    /// The conditions for IPv6.
    pub conditions6: IptablesConditions,
}

impl Iptables {
    /// Maps ports of the node's addresses to a container, and returns whether ports were mapped to
    /// it before.
    ///
    /// # Errors
    /// [`FirewallError::NoProgram`], and if a program fails. Then no rule for the container exists,
    /// unless ports were mapped to it before.
    pub fn map_ports(
        &self,
        network: &NetworkName,
        attachment: &Attachment,
        map: &PortMap<'_>,
        options: &IptablesOptions,
    ) -> Result<bool, FirewallError> {
        let (name, id) = (network.as_str(), attachment.container_id.as_str());
        let chain = port_map_chain(name, id);
        let lock = lock_chain(&chain)?;
        let mut parts = Vec::new();
        for programs in [IPV4, IPV6] {
            let table = table_of(&programs);
            let Some((address, mappings)) = map.part(table) else {
                continue;
            };
            let programs = programs.with(&lock);
            parts.push(Part {
                programs,
                host_ports: programs.rules(HOST_PORTS)?.unwrap_or_default(),
                chain: &chain,
                comment: format!(r#"-m comment --comment "dnat name: \"{name}\" id: \"{id}\"""#),
                conditions: if table.is_ipv6() {
                    &options.conditions6
                } else {
                    &options.conditions4
                },
                address,
                mappings,
                snat: map.snat,
                mark: &options.mark,
            });
        }
        let is_repeated = parts
            .iter()
            .any(|part| part.former_jumps().next().is_some());
        let mapped = parts.iter().try_for_each(Part::map_ports);
        if mapped.is_err() && !is_repeated {
            on_both(Tables::Chosen, |programs| {
                programs.with(&lock).unmap_ports(&chain)
            })?;
        }
        mapped.map(|()| is_repeated)
    }

    /// Removes a container's port map from some tables.
    ///
    /// # Errors
    /// [`FirewallError::NoProgram`], and if a program fails.
    pub(crate) fn unmap_ports(
        &self,
        tables: Tables,
        network: &NetworkName,
        attachment: &Attachment,
    ) -> Result<(), FirewallError> {
        let chain = port_map_chain(network.as_str(), attachment.container_id.as_str());
        let lock = lock_chain(&chain)?;
        on_both(tables, |programs| programs.with(&lock).unmap_ports(&chain))
    }

    /// Removes the port maps of a network's stale containers from some tables.
    ///
    /// # Errors
    /// As [`Iptables::map_ports`].
    pub(crate) fn gc_port_maps(
        &self,
        tables: Tables,
        network: &NetworkName,
        valid: &ValidAttachments,
    ) -> Result<(), FirewallError> {
        on_both(tables, |programs| {
            let host_ports = programs.rules(HOST_PORTS)?.unwrap_or_default();
            let stale = stale_jumps(&host_ports, HOST_PORTS, network, valid, port_map_chain);
            programs.apply(&removal_with_chains(&stale))
        })
    }

    /// Finds out whether the programs are installed and can read the rules.
    ///
    /// # Errors
    /// As [`Iptables::map_ports`].
    pub fn probe(&self) -> Result<(), FirewallError> {
        IPV4.rules("PREROUTING")?.map(drop)
    }

    /// Compares the kernel's rules with those of [`Iptables::map_ports`], and returns one that is
    /// missing, if any.
    ///
    /// # Errors
    /// As [`Iptables::map_ports`].
    pub fn missing_port_map(
        &self,
        network: &NetworkName,
        attachment: &Attachment,
        map: &PortMap<'_>,
    ) -> Result<Option<Missing>, FirewallError> {
        let chain = port_map_chain(network.as_str(), attachment.container_id.as_str());
        for programs in [IPV4, IPV6] {
            let Some((address, mappings)) = map.part(table_of(&programs)) else {
                continue;
            };
            let missing = |mapping: &PortMapping, lack: &str| {
                Ok(Some(Missing::PortMapping {
                    mapping: *mapping,
                    location: format!("chain {chain} of iptables"),
                    lack: lack.to_owned(),
                }))
            };
            let own = programs.rules(&chain)?.unwrap_or_default();
            for mapping in &mappings {
                let end = format!(
                    "{}{} -j DNAT --to-destination {}",
                    destination(mapping),
                    port_match(mapping),
                    target_of(address.ip(), mapping)
                );
                if !own.lines().any(|line| line.trim_end().ends_with(&end)) {
                    return missing(mapping, "no rule for it");
                }
            }
            let host_ports = programs.rules(HOST_PORTS)?.unwrap_or_default();
            let is_reached = ["PREROUTING", "OUTPUT"]
                .iter()
                .try_fold(true, |so_far, hook| {
                    let rules = programs.rules(hook)?.unwrap_or_default();
                    Ok::<_, FirewallError>(so_far && leads_to(&rules, HOST_PORTS))
                })?;
            if let Some(first) = mappings.first()
                && !(is_reached && leads_to(&host_ports, &chain))
            {
                return missing(first, "no jump to it");
            }
        }
        Ok(None)
    }

    /// The rules that drop packets for the node's loopback address, of a line each.
    ///
    /// # Errors
    /// As [`Iptables::map_ports`].
    pub(crate) fn guards(
        &self,
        kernel: &mut Kernel,
    ) -> Result<Vec<(Tables, String)>, FirewallError> {
        let in_nftables = kernel.ask_one(&ForeignChain::guarding())?;
        let in_nftables = in_nftables.map(|()| Tables::Nftables);
        let legacy = has_legacy_table("ip", RAW).then_some(Tables::Legacy);
        let mut guards = Vec::new();
        for tables in in_nftables.into_iter().chain(legacy) {
            let rules = match IPV4.on(tables).rules_in(RAW, HOOK) {
                Err(FirewallError::NoProgram { .. }) => continue,
                rules => rules?.unwrap_or_default(),
            };
            let own = rules.lines().filter(|line| line.contains(GUARD_COMMENT));
            guards.extend(own.map(|line| (tables, line.to_owned())));
        }
        Ok(guards)
    }

    /// Removes what [`Iptables::guards`] has found.
    ///
    /// # Errors
    /// As [`Iptables::map_ports`].
    pub(crate) fn remove_guards(&self, guards: &[(Tables, String)]) -> Result<(), FirewallError> {
        guards.iter().try_for_each(|(tables, line)| {
            let removal = line.replacen("-A ", "-D ", 1) + "\n";
            IPV4.on(*tables).apply_to(RAW, &removal)
        })
    }
}

/// The mappings of one family to a container.
struct Part<'a> {
    programs: Programs<'a>,
    /// The present rules of [`HOST_PORTS`].
    host_ports: String,
    /// The container's chain.
    chain: &'a str,
    /// The comment of the jumps to it.
    comment: String,
    conditions: &'a IptablesConditions,
    address: IpNetwork,
    mappings: Vec<&'a PortMapping>,
    snat: Snat,
    mark: &'a FwMark,
}

impl Part<'_> {
    /// The present jumps to the container's chain.
    fn former_jumps(&self) -> impl Iterator<Item = Jump<'_>> {
        let own = |jump: &Jump<'_>| jump.chain == self.chain;
        jumps(&self.host_ports, HOST_PORTS).filter(own)
    }

    /// Replaces the container's rules.
    fn map_ports(&self) -> Result<(), FirewallError> {
        let (chain, programs) = (self.chain, self.programs);
        let mut lines = programs.shared_chains(self.snat, self.mark)?;
        let mut lock = None;
        if !lines.is_empty() {
            // Other ADDs may be about to create them.
            lock = Some(lock_chain(HOST_PORTS)?);
            lines = programs.shared_chains(self.snat, self.mark)?;
        }
        lines.push_str(&removal(&self.former_jumps().collect::<Vec<_>>(), &[]));
        let _ = writeln!(lines, ":{chain} - [0:0]");
        let source = match (self.snat, self.mark) {
            (Snat::Off, _) => None,
            (_, FwMark::Bit(_)) => Some(SET_MARK),
            (_, FwMark::Chain(chain)) => Some(chain.as_str()),
        };
        let nearby = format!("-s {}/{} ", self.address.network(), self.address.prefix());
        for mapping in &self.mappings {
            let to = destination(mapping);
            let ports = port_match(mapping);
            if let Some(target) = source {
                let nearby = if self.snat == Snat::All { "" } else { &nearby };
                let _ = writeln!(lines, "-A {chain} {nearby}{to}{ports} -j {target}");
                if programs.is_ipv4 && self.snat != Snat::All {
                    let loopback = "-s 127.0.0.1/32 ";
                    let _ = writeln!(lines, "-A {chain} {loopback}{to}{ports} -j {target}");
                }
            }
            let end = target_of(self.address.ip(), mapping);
            let _ = writeln!(
                lines,
                "-A {chain} {to}{ports} -j DNAT --to-destination {end}"
            );
        }
        lines.push_str(&self.jumps());
        programs.apply(&lines)?;
        drop(lock);
        if programs.is_ipv4 && self.snat != Snat::Off {
            programs.guard_loopback()?;
        }
        Ok(())
    }

    /// The jumps to the container's chain: one for each protocol, or more where there are many
    /// ports.
    fn jumps(&self) -> String {
        let Self {
            chain,
            comment,
            conditions,
            mappings,
            ..
        } = self;
        let mut protocols: Vec<_> = mappings.iter().map(|mapping| mapping.protocol).collect();
        protocols.sort_unstable();
        protocols.dedup();
        let mut lines = String::new();
        for protocol in protocols {
            let own = mappings
                .iter()
                .filter(|mapping| mapping.protocol == protocol);
            let mut ports: Vec<u16> = own.map(|mapping| mapping.host_port).collect();
            ports.sort_unstable();
            ports.dedup();
            for some in ports.chunks(MOST_PORTS) {
                let ports: Vec<String> = some.iter().map(u16::to_string).collect();
                let ports = ports.join(",");
                let _ = writeln!(
                    lines,
                    "-A {HOST_PORTS} {conditions}-p {protocol} {comment} \
                    -m multiport --dports {ports} -j {chain}"
                );
            }
        }
        lines
    }
}

impl Programs<'_> {
    /// Removes a container's chain and the jumps to it.
    fn unmap_ports(self, chain: &str) -> Result<(), FirewallError> {
        let host_ports = self.rules(HOST_PORTS)?.unwrap_or_default();
        let own = jumps(&host_ports, HOST_PORTS).filter(|jump| jump.chain == chain);
        let own: Vec<_> = own.collect();
        // A killed ADD may have left a chain without a jump.
        if own.is_empty() && self.rules(chain)?.is_err() {
            return Ok(());
        }
        self.apply(&removal(&own, &[chain]))
    }

    /// The lines that create the missing chains and rules that all containers share. `-N` fails if
    /// the Go plugin has created a chain meanwhile; the other form would flush the chain.
    fn shared_chains(self, snat: Snat, mark: &FwMark) -> Result<String, FirewallError> {
        let mut lines = String::new();
        if self.rules(HOST_PORTS)?.is_err() {
            let _ = writeln!(lines, "-N {HOST_PORTS}");
        }
        for hook in ["PREROUTING", "OUTPUT"] {
            if !leads_to(&self.rules(hook)??, HOST_PORTS) {
                let _ = writeln!(
                    lines,
                    "-A {hook} -m addrtype --dst-type LOCAL -j {HOST_PORTS}"
                );
            }
        }
        let FwMark::Bit(bit) = mark else {
            return Ok(lines);
        };
        if snat == Snat::Off {
            return Ok(lines);
        }
        let mask = format!("{0:#x}/{0:#x}", 1_u32 << (bit % 32));
        let marking = format!("-A {SET_MARK} {SET_MARK_COMMENT} -j MARK --set-xmark {mask}");
        let masquerading = format!("-A {MASQUERADE} -m mark --mark {mask} -j MASQUERADE");
        for (chain, rule) in [(SET_MARK, marking), (MASQUERADE, masquerading)] {
            let present = self.rules(chain)?;
            if present.is_err() {
                let _ = writeln!(lines, "-N {chain}");
            }
            let present = present.unwrap_or_default();
            if !present.lines().any(|line| line.trim_end() == rule) {
                let _ = writeln!(lines, "{rule}");
            }
        }
        if !leads_to(&self.rules("POSTROUTING")??, MASQUERADE) {
            let _ = writeln!(lines, "-A POSTROUTING {MASQUERADE_COMMENT} -j {MASQUERADE}");
        }
        Ok(lines)
    }

    /// Drops packets for loopback addresses that arrive on another link than `lo` (CVE-2020-8558).
    fn guard_loopback(self) -> Result<(), FirewallError> {
        let present = self.rules_in(RAW, HOOK)??;
        if present.contains(GUARD_COMMENT) {
            return Ok(());
        }
        let guard = format!(
            "-I {HOOK} ! -i lo -d 127.0.0.0/8 \
            -m comment --comment \"{GUARD_COMMENT}\" -j DROP\n"
        );
        self.apply_to(RAW, &guard)
    }
}

fn table_of(programs: &Programs<'_>) -> Table {
    if programs.is_ipv4 {
        Table::PortMap4
    } else {
        Table::PortMap6
    }
}

/// Whether a rule jumps to a chain.
fn leads_to(rules: &str, chain: &str) -> bool {
    let end = format!(" -j {chain}");
    rules.lines().any(|line| line.trim_end().ends_with(&end))
}

/// The match of the node's address, with a blank at its end, as iptables prints it.
fn destination(mapping: &PortMapping) -> String {
    match mapping.host_ip.filter(|ip| !ip.is_unspecified()) {
        None => String::new(),
        Some(ip) => format!("-d {ip}/{} ", if ip.is_ipv6() { 128 } else { 32 }),
    }
}

fn port_match(mapping: &PortMapping) -> String {
    let (protocol, port) = (mapping.protocol, mapping.host_port);
    format!("-p {protocol} -m {protocol} --dport {port}")
}

fn target_of(address: IpAddr, mapping: &PortMapping) -> String {
    let port = mapping.container_port;
    match address {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    }
}
