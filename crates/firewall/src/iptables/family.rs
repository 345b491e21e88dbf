//! The programs of one family, IPv4 or IPv6: showing rules, and changing them.

use std::io::ErrorKind;

use super::program::{self, Output};
use crate::FirewallError;
use crate::namespace_lock::NamespaceLock;

/// The timeout of a program for the lock of iptables, in seconds.
const TIMEOUT: &str = "30";

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
pub(super) struct Programs<'a> {
    pub(super) is_ipv4: bool,
    /// In the order of [`Tables`].
    names: [Names; 3],
    tables: Tables,
    pub(super) multicast: &'static str,
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

pub(super) const IPV4: Programs<'_> = Programs {
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

pub(super) const IPV6: Programs<'_> = Programs {
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

/// Does the same work for IPv4 and, if its program is installed, for IPv6.
pub(super) fn on_both(
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
    pub(super) fn with(self, lock: &NamespaceLock) -> Programs<'_> {
        Programs {
            lock: Some(lock),
            ..self
        }
    }

    pub(super) fn on(self, tables: Tables) -> Self {
        Self { tables, ..self }
    }

    /// The rules of a chain of the table `nat`, as commands that would create them. The inner error
    /// says that the chain or the table does not exist.
    pub(super) fn rules(self, chain: &str) -> Result<Result<String, FirewallError>, FirewallError> {
        self.rules_in("nat", chain)
    }

    /// [`Programs::rules`] of another table.
    pub(super) fn rules_in(
        self,
        table: &str,
        chain: &str,
    ) -> Result<Result<String, FirewallError>, FirewallError> {
        self.list(table, Some(chain))
    }

    /// The rules of a table, or of one of its chains, as [`Programs::rules`].
    pub(super) fn list(
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
    pub(super) fn apply(self, lines: &str) -> Result<(), FirewallError> {
        self.apply_to("nat", lines)
    }

    /// [`Programs::apply`] to another table.
    pub(super) fn apply_to(self, table: &str, lines: &str) -> Result<(), FirewallError> {
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
