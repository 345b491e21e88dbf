//! The parts of a test run, and their order.

use clap::ValueEnum;

/// A part of a test run. They run in the order in which they stand here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Part {
    /// Is all code formatted?
    Fmt,
    /// Does clippy find nothing?
    Clippy,
    /// Do the release binaries build, and are they static?
    Dist,
    /// Do all tests pass, with debug binaries?
    Test,
    /// Do the integration tests pass with the release binaries too?
    DistBinaries,
    /// Do the tests pass that need another kernel, in a virtual machine?
    Vm,
    /// Is all as it must be after power cuts, of which there are five (`--cuts`)?
    Powercut,
    /// Is there an answer to input that nobody thought of, for a minute?
    Fuzz,
    /// Does the demo work?
    Demo,
    /// Do podman's containers come and go, also over a reboot?
    Podman,
    /// Does the documentation build without a warning?
    Doc,
    /// Is the machine as it was before?
    Tidy,
}

impl Part {
    /// The name on the command line and in the summary.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Dist => "dist",
            Self::Test => "test",
            Self::DistBinaries => "dist-binaries",
            Self::Vm => "vm",
            Self::Powercut => "powercut",
            Self::Fuzz => "fuzz",
            Self::Demo => "demo",
            Self::Podman => "podman",
            Self::Doc => "doc",
            Self::Tidy => "tidy",
        }
    }

    /// Whether its output is shown while it runs.
    pub(crate) fn streams(self) -> bool {
        matches!(self, Self::Test | Self::DistBinaries)
    }

    fn needs_dist(self) -> bool {
        matches!(
            self,
            Self::DistBinaries | Self::Vm | Self::Powercut | Self::Demo | Self::Podman
        )
    }
}

/// The chosen parts, or all; with `dist` before those that use its binaries.
pub(crate) fn in_order(chosen: &[Part]) -> Vec<Part> {
    let wanted = |part: &Part| {
        chosen.is_empty()
            || chosen.contains(part)
            || (*part == Part::Dist && chosen.iter().any(|part| part.needs_dist()))
    };
    Part::value_variants()
        .iter()
        .copied()
        .filter(wanted)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for part in Part::value_variants() {
            assert_eq!(part.to_possible_value().unwrap().get_name(), part.name());
        }
    }

    #[test]
    fn parts_run_in_their_order() {
        assert_eq!(in_order(&[]), Part::value_variants());
        assert_eq!(in_order(&[Part::Doc, Part::Fmt]), [Part::Fmt, Part::Doc]);
        assert_eq!(in_order(&[Part::Demo]), [Part::Dist, Part::Demo]);
    }
}
