use std::io;

use cni_types::Code;
use netlink::NetlinkError;
use nix::errno::Errno;

use crate::UnknownBackend;
use crate::owner::MOST_HOLDINGS;
use crate::table::Table;

/// Why rules could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// The kernel lacks something that the rules need.
    #[error("{cause}: the kernel needs {needs} for this, or {instead}")]
    Unsupported {
        /// What was tried, and the kernel's reason.
        cause: NetlinkError,
        /// The modules and options that are needed.
        needs: &'static str,
        /// The configuration that does without.
        instead: &'static str,
    },
    /// The process may not change rules.
    #[error("{0}: this needs CAP_NET_ADMIN")]
    NotPermitted(NetlinkError),
    /// The kernel could not be asked, or refused for another reason.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// Others changed the same elements again and again.
    #[error("{0}: others keep changing it: try again")]
    Contended(NetlinkError),
    /// An attachment has more addresses of one family than can be told apart.
    #[error("{0} addresses of one family are too many to masquerade: {MOST_HOLDINGS} are possible")]
    TooManyAddresses(usize),
    /// The name of a bridge's port is longer than the kernel takes.
    #[error("{0:?} is too long: an interface name has at most 15 bytes")]
    PortName(String),
    /// A backend that does not exist.
    #[error(transparent)]
    UnknownBackend(#[from] UnknownBackend),
    /// The programs of the backend `iptables` are not there.
    #[error(
        "ipMasqBackend is \"iptables\", but there is no program {program} in PATH: install iptables, or set ipMasqBackend to \"nftables\""
    )]
    NoProgram {
        /// The missing one.
        program: &'static str,
    },
    /// The work of others on a container's chain could not be waited for.
    #[error("cannot mark the chain that iptables is to change as in use: {0}")]
    Mark(io::Error),
    /// A program could not be run.
    #[error("cannot run {program}: {source}")]
    Run {
        /// Which.
        program: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// A program failed.
    #[error("cannot {what}: {program} failed: {output}")]
    Program {
        /// What it was to do.
        what: String,
        /// Which.
        program: &'static str,
        /// What it said, or how it ended if it said nothing.
        output: String,
    },
}

impl FirewallError {
    /// What it means that the kernel refuses a change of a table; `None` is a table of others.
    pub(crate) fn refused(table: Option<Table>, cause: NetlinkError) -> Self {
        if cause.is_not_permitted() {
            return Self::NotPermitted(cause);
        }
        // A family, a kind of chain or an expression that the kernel does not have is an `ENOENT` or one of the others;
        // so is the lack of nftables altogether.
        let is_missing = cause.is_unsupported()
            || cause.errno() == Some(Errno::ENOENT)
            || matches!(cause, NetlinkError::Socket { errno, .. } if errno == Errno::EPROTONOSUPPORT);
        let Some(table) = table.filter(|_| is_missing) else {
            return Self::Netlink(cause);
        };
        let (needs, instead) = match table {
            Table::Masquerade4 => (
                "the modules nf_tables, nft_chain_nat and nft_masq (CONFIG_NF_TABLES_IPV4, CONFIG_NFT_NAT, CONFIG_NFT_MASQ)",
                "ipMasqBackend \"iptables\"",
            ),
            Table::Masquerade6 => (
                "the modules nf_tables, nft_chain_nat and nft_masq (CONFIG_NF_TABLES_IPV6, CONFIG_NFT_NAT, CONFIG_NFT_MASQ)",
                "ipMasqBackend \"iptables\"",
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

    /// What it means that the kernel refuses to tell something.
    pub(crate) fn asking(cause: NetlinkError) -> Self {
        if cause.is_not_permitted() {
            Self::NotPermitted(cause)
        } else {
            Self::Netlink(cause)
        }
    }

    /// Whether the kernel or the machine lacks what is needed.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported { .. } | Self::NoProgram { .. })
    }
}

impl From<FirewallError> for cni_types::Error {
    fn from(error: FirewallError) -> Self {
        let code = match error {
            FirewallError::UnknownBackend(_) | FirewallError::TooManyAddresses(_) => {
                Code::INVALID_NETWORK_CONFIG
            }
            FirewallError::Unsupported { .. } | FirewallError::NoProgram { .. } => {
                Code::UNSUPPORTED_FIELD
            }
            FirewallError::Contended(_) => Code::TRY_AGAIN_LATER,
            FirewallError::Netlink(error) => return error.into(),
            FirewallError::NotPermitted(_)
            | FirewallError::PortName(_)
            | FirewallError::Mark(_)
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
    fn what_a_kernel_lacks_is_told_with_a_way_out() {
        let error = refused(Table::Masquerade4, Errno::EOPNOTSUPP);
        assert_eq!(
            error.to_string(),
            "cannot create table ip twill_masquerade: Operation not supported on transport endpoint: the kernel needs \
            the modules nf_tables, nft_chain_nat and nft_masq (CONFIG_NF_TABLES_IPV4, CONFIG_NFT_NAT, CONFIG_NFT_MASQ) \
            for this, or ipMasqBackend \"iptables\""
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
        assert!(matches!(error, FirewallError::NotPermitted(_)));
        let error = refused(Table::MacSpoof, Errno::ENOMEM);
        assert!(matches!(error, FirewallError::Netlink(_)));
    }
}
