//! Masquerading by the programs of iptables, with the rules of the Go plugins.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::IpAddr;

use cni_types::{Attachment, NetworkName, ValidAttachments};
use hmac_sha512::Hash;
use ipnetwork::IpNetwork;

use crate::go::HOST_PORTS;
use crate::iptables::program::Output;
use crate::iptables::rules::{jumps, nat_rules, removal, removal_with_chains, stale_jumps};
use crate::named::{ForeignRules, RuleEffect};
use crate::namespace_lock::NamespaceLock;
use crate::{FirewallError, Missing};

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

/// The timeout of a program for the lock of iptables, in seconds.
const TIMEOUT: &str = "30";

/// Rules that the programs `iptables` and `ip6tables` create, as with the Go plugins: one chain per
/// container of a network, which all of its interfaces share, and one jump to it per address.
///
/// Either side, this crate and the Go plugins, can remove the rules of the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Iptables;

/// The tables that programs of iptables work on. The kernel has two kinds, of which a program sees
/// one. The distribution sets the kind that the program named `iptables` sees
/// (`update-alternatives`), and this may have changed since the rules were created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    /// The tables that `iptables` works on, where new rules go.
    Chosen,
    /// The kernel's legacy tables.
    Legacy,
    /// The tables that iptables has in nftables.
    Nftables,
}

/// The programs of one family.
#[derive(Clone, Copy, Debug)]
struct Programs<'a> {
    is_ipv4: bool,
    /// In the order of [`Tables`].
    names: [Names; 3],
    tables: Tables,
    multicast: &'static str,
    /// The lock that the programs inherit.
    lock: Option<&'a NamespaceLock>,
}

/// The names of two programs for the same tables.
#[derive(Clone, Copy, Debug)]
struct Names {
    /// The program that prints rules.
    show: &'static str,
    /// The program that changes rules, all or none.
    restore: &'static str,
}

const IPV4: Programs<'_> = Programs {
    is_ipv4: true,
    names: [
        Names {
            show: "iptables",
            restore: "iptables-restore",
        },
        Names {
            show: "iptables-legacy",
            restore: "iptables-legacy-restore",
        },
        Names {
            show: "iptables-nft",
            restore: "iptables-nft-restore",
        },
    ],
    tables: Tables::Chosen,
    multicast: "224.0.0.0/4",
    lock: None,
};
const IPV6: Programs<'_> = Programs {
    is_ipv4: false,
    names: [
        Names {
            show: "ip6tables",
            restore: "ip6tables-restore",
        },
        Names {
            show: "ip6tables-legacy",
            restore: "ip6tables-legacy-restore",
        },
        Names {
            show: "ip6tables-nft",
            restore: "ip6tables-nft-restore",
        },
    ],
    tables: Tables::Chosen,
    multicast: "ff00::/8",
    lock: None,
};

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

/// Does the same work for IPv4 and, if its program is installed, for IPv6.
fn on_both(
    tables: Tables,
    mut work: impl FnMut(Programs<'static>) -> Result<(), FirewallError>,
) -> Result<(), FirewallError> {
    work(IPV4.on(tables))?;
    match work(IPV6.on(tables)) {
        Err(FirewallError::NoProgram { .. }) => Ok(()),
        done => done,
    }
}

impl Programs<'_> {
    fn with(self, lock: &NamespaceLock) -> Programs<'_> {
        Programs {
            lock: Some(lock),
            ..self
        }
    }

    fn on(self, tables: Tables) -> Self {
        Self { tables, ..self }
    }

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

    /// The rules of a chain of the table `nat`, as commands that would create them. The inner error
    /// says that the chain or the table does not exist.
    fn rules(self, chain: &str) -> Result<Result<String, FirewallError>, FirewallError> {
        self.rules_in("nat", chain)
    }

    /// [`Programs::rules`] of another table.
    fn rules_in(
        self,
        table: &str,
        chain: &str,
    ) -> Result<Result<String, FirewallError>, FirewallError> {
        self.list(table, Some(chain))
    }

    /// The rules of a table, or of one of its chains, as [`Programs::rules`].
    fn list(
        self,
        table: &str,
        chain: Option<&str>,
    ) -> Result<Result<String, FirewallError>, FirewallError> {
        let mut args = vec!["-w", TIMEOUT, "-t", table, "-S"];
        args.extend(chain);
        let (show, output) = self.run(|names| names.show, &args, "")?;
        if output.status.success() {
            return Ok(Ok(String::from_utf8_lossy(&output.stdout).into_owned()));
        }
        let of_chain = chain.map(|chain| format!("chain {chain} of "));
        let of_chain = of_chain.unwrap_or_default();
        let error = failed(&format!("show {of_chain}table {table}"), show, &output);
        /// The exit status of a program that does not get its lock, or has no right to read the
        /// rules.
        const RESOURCE_PROBLEM: i32 = 4;
        let says =
            |word| matches!(&error, FirewallError::Program { output, .. } if output.contains(word));
        let is_refused = output.status.code() == Some(RESOURCE_PROBLEM)
            || says("denied")
            || says("not permitted");
        if is_refused {
            Err(error)
        } else {
            Ok(Err(error))
        }
    }

    /// Changes the table `nat`, by all of the lines or none.
    fn apply(self, lines: &str) -> Result<(), FirewallError> {
        self.apply_to("nat", lines)
    }

    /// [`Programs::apply`] to another table.
    fn apply_to(self, table: &str, lines: &str) -> Result<(), FirewallError> {
        if lines.is_empty() {
            return Ok(());
        }
        let input = format!("*{table}\n{lines}COMMIT\n");
        let args = ["-w", TIMEOUT, "--noflush"];
        let (restore, output) = self.run(|names| names.restore, &args, &input)?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(&format!("change table {table}"), restore, &output))
    }

    /// Runs the program for the tables or, if none is installed for these alone, the one that
    /// `update-alternatives` has chosen. Returns its name, too.
    fn run(
        self,
        program: impl Fn(Names) -> &'static str,
        args: &[&str],
        input: &str,
    ) -> Result<(&'static str, Output), FirewallError> {
        let [chosen, legacy, nftables] = self.names.map(program);
        let special = match self.tables {
            Tables::Chosen => None,
            Tables::Legacy => Some(legacy),
            Tables::Nftables => Some(nftables),
        };
        for program in special.into_iter().chain([chosen]) {
            match program::run(
                program,
                args,
                input,
                self.lock.and_then(NamespaceLock::as_fd),
            ) {
                Ok(output) => return Ok((program, output)),
                Err(source) if source.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(FirewallError::Run { program, source }),
            }
        }
        Err(FirewallError::NoProgram { program: chosen })
    }
}

fn failed(what: &str, program: &'static str, output: &Output) -> FirewallError {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    FirewallError::Program {
        what: what.to_owned(),
        program,
        output: if said.is_empty() {
            output.status.to_string()
        } else {
            said.replace('\n', "; ")
        },
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
