//! What is fed with input, and what must be true of the answers.

mod args;
mod index;
mod lease;
mod netconf;
mod resolver;
mod result;
mod room;
mod state;

use clap::ValueEnum;
use twill_bridge::Bridge;
use twill_flannel::Flannel;
use twill_host_local::HostLocal;

/// What is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// subnet.env, as flannel reads it
    Lease,
    /// Network configurations, to flannel
    FlannelConf,
    /// Network configurations, to host-local
    HostLocalConf,
    /// Network configurations, to bridge
    BridgeConf,
    /// `CNI_ARGS`, to host-local and bridge
    Args,
    /// What a delegate prints: results and errors
    DelegateOutput,
    /// The files in a folder of host-local
    State,
    /// Changes to the index of such a folder
    Index,
    /// resolv.conf, as host-local reads it
    ResolvConf,
}

impl Target {
    /// The name on the command line, and of its folder in `testdata/fuzz`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::FlannelConf => "flannel-conf",
            Self::HostLocalConf => "host-local-conf",
            Self::BridgeConf => "bridge-conf",
            Self::Args => "args",
            Self::DelegateOutput => "delegate-output",
            Self::State => "state",
            Self::Index => "index",
            Self::ResolvConf => "resolv-conf",
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
    fn names_are_those_of_the_command_line() {
        for target in Target::value_variants() {
            assert_eq!(
                target.to_possible_value().unwrap().get_name(),
                target.name()
            );
        }
    }

    #[test]
    fn nothing_is_wrong_with_what_the_mutations_start_from() {
        if !require_root() {
            return;
        }
        for target in Target::value_variants() {
            let inputs = corpus::read(*target).unwrap();
            assert!(!inputs.is_empty(), "{target:?}");
            let wrong = jail::inside(|| {
                let results = inputs.iter().map(|input| target.feed(input));
                results.filter_map(Result::err).collect::<Vec<_>>()
            });
            assert_eq!(wrong.unwrap(), [""; 0], "{target:?}");
        }
    }
}
