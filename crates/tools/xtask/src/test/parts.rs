//! The parts of a test run, and their order.

use clap::ValueEnum;

/// A part of a test run. The earlier of two stands before the other, if neither needs the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Part {
    /// Is all code formatted?
    Fmt,
    /// Do the tests build, and all that they run?
    Build,
    /// Do the release binaries build, and are they static?
    Dist,
    /// Does clippy find nothing?
    Clippy,
    /// Do all tests pass, with debug binaries?
    Test,
    /// Do the tests pass that need another kernel, in a virtual machine?
    Vm,
    /// Do the plugins' integration tests pass with the release binary too?
    DistBinaries,
    /// Is there an answer to input that nobody thought of, for a minute?
    Fuzz,
    /// Is all as it must be after power cuts?
    Powercut,
    /// Do podman's containers come and go, also over a reboot?
    Podman,
    /// Does the demo work?
    Demo,
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
            Self::Build => "build",
            Self::Dist => "dist",
            Self::Clippy => "clippy",
            Self::Test => "test",
            Self::Vm => "vm",
            Self::DistBinaries => "dist-binaries",
            Self::Fuzz => "fuzz",
            Self::Powercut => "powercut",
            Self::Podman => "podman",
            Self::Demo => "demo",
            Self::Doc => "doc",
            Self::Tidy => "tidy",
        }
    }

    /// The parts whose work it uses.
    pub(super) fn needs(self) -> &'static [Self] {
        match self {
            Self::Test | Self::Fuzz => &[Self::Build],
            Self::Vm | Self::DistBinaries | Self::Powercut => &[Self::Build, Self::Dist],
            Self::Podman | Self::Demo => &[Self::Dist],
            Self::Fmt | Self::Build | Self::Dist | Self::Clippy | Self::Doc | Self::Tidy => &[],
        }
    }

    /// Whether it looks at what all others have left.
    pub(super) fn is_last(self) -> bool {
        self == Self::Tidy
    }
}

/// The chosen parts, or all; with those that they need.
pub(super) fn in_order(chosen: &[Part]) -> Vec<Part> {
    let is_needed = |part: &Part| chosen.iter().any(|other| other.needs().contains(part));
    let is_wanted = |part: &Part| chosen.is_empty() || chosen.contains(part) || is_needed(part);
    let all = Part::value_variants().iter().copied();
    all.filter(is_wanted).collect()
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
    fn parts_come_with_what_they_need() {
        assert_eq!(in_order(&[]), Part::value_variants());
        assert_eq!(in_order(&[Part::Doc, Part::Fmt]), [Part::Fmt, Part::Doc]);
        assert_eq!(in_order(&[Part::Demo]), [Part::Dist, Part::Demo]);
    }

    #[test]
    fn what_is_needed_needs_nothing_itself() {
        for part in Part::value_variants() {
            for needed in part.needs() {
                assert_eq!(needed.needs(), [], "{part:?} needs {needed:?}");
                assert!(needed < part, "{part:?} needs {needed:?}");
            }
        }
    }
}
