//! Why rules could not be read or changed, and the error code that each reason gets.

use std::io;

use cni_types::Code;
use netlink::NetlinkError;
use netlink::sysctl::SysctlError;
use nix::errno::Errno;

use crate::UnknownBackend;
use crate::owner::{MOST_GRANTS, MOST_PLACES};
use crate::table::Table;

/// Why rules could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// The kernel lacks a feature that the rules need.
    #[error("{cause}: the kernel needs {needs} for this, or {instead}")]
    Unsupported {
        /// The refused request, and the kernel's reason.
        cause: NetlinkError,
        /// The modules and options that the kernel has to have.
        needs: &'static str,
        /// A configuration that needs no such feature.
        instead: &'static str,
    },
    /// The kernel did not answer, or refused for another reason.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// Others changed the same part of the ruleset during each attempt.
    #[error("{0}: others keep changing it: try again")]
    Contended(NetlinkError),
    /// An attachment has more addresses of one family than there are record numbers.
    #[error("{0} addresses of one family are too many to masquerade: {MOST_GRANTS} are possible")]
    TooManyAddresses(usize),
    /// A kernel setting that a mapping needs could not be changed.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// An attachment has more mappings of one family than there are record places.
    #[error("{0} port mappings are too many: {MOST_PLACES} are possible")]
    TooManyMappings(usize),
    /// The name of a bridge's port is longer than the name of an interface can be.
    #[error("{0:?} is too long: an interface name has at most 15 bytes")]
    PortName(String),
    /// The configuration names a backend that does not exist.
    #[error(transparent)]
    UnknownBackend(#[from] UnknownBackend),
    /// The programs of the backend `iptables` are not installed.
    #[error(
        "the backend is \"iptables\", but there is no program {program} in PATH: \
        install iptables, or use \"nftables\""
    )]
    NoProgram {
        /// The missing program.
        program: &'static str,
    },
    /// The container's chain could not be locked.
    #[error("cannot lock the chain that iptables is to change: {0}")]
    ChainLock(io::Error),
    /// A program could not be started, or its streams failed.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("cannot {what}: {program} failed: {output}")]
    Program {
        /// The purpose of the call.
        what: String,
        /// The program.
        program: &'static str,
        /// What the program wrote to standard error, or its exit status if it wrote nothing.
        output: String,
    },
}

impl FirewallError {
    /// The error for a refused edit of a table; `None` is a table of others.
    pub(crate) fn refused(table: Option<Table>, cause: NetlinkError) -> Self {
        // The kernel says `ENOENT` or one of the others if it lacks a family, a type of chain, an
        // expression, or nftables altogether.
        let is_missing = cause.is_unsupported()
            || cause.errno() == Some(Errno::ENOENT)
            || matches!(
                cause,
                NetlinkError::Socket { errno, .. } if errno == Errno::EPROTONOSUPPORT
            );
        let Some(table) = table.filter(|_| is_missing) else {
            return Self::Netlink(cause);
        };
        let (needs, instead) = match table {
            Table::Masquerade4 => (
                "the modules nf_tables, nft_chain_nat and nft_masq \
                (CONFIG_NF_TABLES_IPV4, CONFIG_NFT_NAT, CONFIG_NFT_MASQ)",
                "ipMasqBackend \"iptables\"",
            ),
            Table::Masquerade6 => (
                "the modules nf_tables, nft_chain_nat and nft_masq \
                (CONFIG_NF_TABLES_IPV6, CONFIG_NFT_NAT, CONFIG_NFT_MASQ)",
                "ipMasqBackend \"iptables\"",
            ),
            Table::PortMap4 => (
                "the modules nf_tables, nft_chain_nat, nft_nat, nft_masq, nft_fib_ipv4 and nft_ct \
                (CONFIG_NF_TABLES_IPV4, CONFIG_NFT_NAT, CONFIG_NFT_MASQ, CONFIG_NFT_FIB_IPV4, \
                CONFIG_NFT_CT)",
                "backend \"iptables\"",
            ),
            Table::PortMap6 => (
                "the modules nf_tables, nft_chain_nat, nft_nat, nft_masq, nft_fib_ipv6 and nft_ct \
                (CONFIG_NF_TABLES_IPV6, CONFIG_NFT_NAT, CONFIG_NFT_MASQ, CONFIG_NFT_FIB_IPV6, \
                CONFIG_NFT_CT)",
                "backend \"iptables\"",
            ),
            Table::MacSpoof => (
                "the module nf_tables (CONFIG_NF_TABLES, CONFIG_NF_TABLES_BRIDGE)",
                "macspoofchk false",
            ),
        };
        Self::Unsupported {
            cause,
            needs,
            instead,
        }
    }

    /// Whether the kernel lacks a feature, or the node a program.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported { .. } | Self::NoProgram { .. })
    }
}

impl From<FirewallError> for cni_types::Error {
    fn from(error: FirewallError) -> Self {
        let code = match error {
            FirewallError::UnknownBackend(_)
            | FirewallError::TooManyAddresses(_)
            | FirewallError::TooManyMappings(_) => Code::INVALID_NETWORK_CONFIG,
            FirewallError::Unsupported { .. } | FirewallError::NoProgram { .. } => {
                Code::UNSUPPORTED_FIELD
            }
            FirewallError::Contended(_) => Code::TRY_AGAIN_LATER,
            FirewallError::Netlink(error) => return error.into(),
            FirewallError::Sysctl(error) => return error.into(),
            FirewallError::PortName(_)
            | FirewallError::ChainLock(_)
            | FirewallError::Run { .. }
            | FirewallError::Program { .. } => Code::IO_FAILURE,
        };
        cni_types::Error::new(code, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(table: Table, errno: Errno) -> FirewallError {
        let cause = NetlinkError::Refused {
            what: format!("create table {table}"),
            errno,
            text: None,
        };
        FirewallError::refused(Some(table), cause)
    }

    #[test]
    fn an_error_for_a_missing_feature_names_a_configuration_without_it() {
        let error = refused(Table::Masquerade4, Errno::EOPNOTSUPP);
        assert_eq!(
            error.to_string(),
            "cannot create table ip twill_masquerade: \
            Operation not supported on transport endpoint: \
            the kernel needs the modules nf_tables, nft_chain_nat and nft_masq \
            (CONFIG_NF_TABLES_IPV4, CONFIG_NFT_NAT, CONFIG_NFT_MASQ) for this, \
            or ipMasqBackend \"iptables\""
        );
        assert!(error.is_unsupported());
        let error = refused(Table::MacSpoof, Errno::EAFNOSUPPORT).to_string();
        assert!(error.ends_with("for this, or macspoofchk false"), "{error}");
        assert_eq!(
            cni_types::Error::from(refused(Table::MacSpoof, Errno::ENOENT))
                .code
                .0,
            2
        );
        let error = refused(Table::MacSpoof, Errno::EPERM);
        assert!(matches!(error, FirewallError::Netlink(_)));
        assert!(error.to_string().ends_with(": this needs CAP_NET_ADMIN"));
        let error = refused(Table::MacSpoof, Errno::ENOMEM);
        assert!(matches!(error, FirewallError::Netlink(_)));
    }
}
