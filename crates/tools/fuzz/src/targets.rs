//! What is fed with input, and what must be true of the answers.

mod args;
mod index;
mod lease;
mod netconf;
mod resolver;
mod result;
mod room;
mod state;

use twill_bridge::Bridge;
use twill_flannel::Flannel;
use twill_host_local::HostLocal;

/// What is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Lease,
    FlannelConf,
    HostLocalConf,
    BridgeConf,
    Args,
    DelegateOutput,
    State,
    Index,
    ResolvConf,
}

impl Target {
    pub(crate) const ALL: [Self; 9] = [
        Self::Lease,
        Self::FlannelConf,
        Self::HostLocalConf,
        Self::BridgeConf,
        Self::Args,
        Self::DelegateOutput,
        Self::State,
        Self::Index,
        Self::ResolvConf,
    ];

    /// The name on the command line, and of its directory in `testdata/fuzz`.
    pub(crate) fn name(self) -> &'static str {
        self.words().0
    }

    /// What it feeds to whom.
    pub(crate) fn about(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Lease => ("lease", "subnet.env, to flannel"),
            Self::FlannelConf => ("flannel-conf", "network configurations, to flannel"),
            Self::HostLocalConf => ("host-local-conf", "network configurations, to host-local"),
            Self::BridgeConf => ("bridge-conf", "network configurations, to bridge"),
            Self::Args => ("args", "CNI_ARGS, to host-local and bridge"),
            Self::DelegateOutput => ("delegate-output", "results and errors of a delegate"),
            Self::State => ("state", "the files in host-local's directory"),
            Self::Index => ("index", "changes to the index of such a directory"),
            Self::ResolvConf => ("resolv-conf", "resolv.conf, to host-local"),
        }
    }

    /// Feeds one input: the kind of the answers, or what is wrong with them.
    pub(crate) fn feed(self, input: &[u8]) -> Result<String, String> {
        room::clear()?;
        match self {
            Self::Lease => lease::feed(input),
            Self::FlannelConf => netconf::feed(&Flannel, input),
            Self::HostLocalConf => netconf::feed(&HostLocal, input),
            Self::BridgeConf => netconf::feed(&Bridge, input),
            Self::Args => args::feed(input),
            Self::DelegateOutput => result::feed(input),
            Self::State => state::feed(input),
            Self::Index => index::feed(input),
            Self::ResolvConf => resolver::feed(input),
        }
    }
}

#[cfg(test)]
mod tests {
    use testkit::requirements::require_root;

    use super::*;
    use crate::{corpus, jail};

    #[test]
    fn nothing_is_wrong_with_what_the_mutations_start_from() {
        if !require_root() {
            return;
        }
        for target in Target::ALL {
            let inputs = corpus::read(target).unwrap();
            assert!(!inputs.is_empty(), "{target:?}");
            let wrong = jail::inside(|| {
                let results = inputs.iter().map(|input| target.feed(input));
                results.filter_map(Result::err).collect::<Vec<_>>()
            });
            assert_eq!(wrong.unwrap(), [""; 0], "{target:?}");
        }
    }
}
