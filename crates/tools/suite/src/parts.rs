//! The parts of a test run, and their order.

/// A part of a test run. The earlier of two stands before the other, if neither needs the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Fmt,
    Build,
    Dist,
    Clippy,
    Test,
    Vm,
    DistBinaries,
    Fuzz,
    Powercut,
    Podman,
    Demo,
    Doc,
    Tidy,
}

use Part::{
    Build, Clippy, Demo, Dist, DistBinaries, Doc, Fmt, Fuzz, Podman, Powercut, Test, Tidy, Vm,
};

/// Each part with its name, what it checks, and the parts whose work it uses.
const PARTS: [(Part, &str, &str, &[Part]); 13] = [
    (Fmt, "fmt", "all code is formatted", &[]),
    (
        Build,
        "build",
        "the tests build, and all that they run",
        &[],
    ),
    (Dist, "dist", "the release binary builds and is static", &[]),
    (Clippy, "clippy", "clippy finds nothing", &[]),
    (
        Test,
        "test",
        "all tests pass, with debug binaries",
        &[Build],
    ),
    (
        Vm,
        "vm",
        "tests that need another kernel pass in a virtual machine",
        &[Build, Dist],
    ),
    (
        DistBinaries,
        "dist-binaries",
        "the plugins' integration tests pass with the release binary, and so do those of panics",
        &[Build, Dist],
    ),
    (
        Fuzz,
        "fuzz",
        "random input gets an answer, for a minute",
        &[Build],
    ),
    (
        Powercut,
        "powercut",
        "the state is as it must be after power cuts",
        &[Build, Dist],
    ),
    (
        Podman,
        "podman",
        "podman's containers come and go, also over a reboot",
        &[Dist],
    ),
    (Demo, "demo", "the demo works", &[Build, Dist]),
    (
        Doc,
        "doc",
        "the documentation builds without a warning",
        &[],
    ),
    (Tidy, "tidy", "the machine is as it was before", &[]),
];

impl Part {
    /// The name on the command line and in the summary.
    pub(crate) fn name(self) -> &'static str {
        let mut parts = PARTS.iter();
        parts.find(|part| part.0 == self).map_or("", |part| part.1)
    }

    /// The part of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        PARTS.iter().find(|part| part.1 == name).map(|part| part.0)
    }

    /// The parts whose work it uses.
    pub(super) fn needs(self) -> &'static [Self] {
        let mut parts = PARTS.iter();
        parts.find(|part| part.0 == self).map_or(&[], |part| part.3)
    }

    /// Whether it looks at what all others have left.
    pub(super) fn is_last(self) -> bool {
        self == Tidy
    }
}

/// The chosen parts, or all; with those that they need.
pub(super) fn in_order(chosen: &[Part]) -> Vec<Part> {
    let is_needed = |part: &Part| chosen.iter().any(|other| other.needs().contains(part));
    let is_wanted = |part: &Part| chosen.is_empty() || chosen.contains(part) || is_needed(part);
    PARTS.iter().map(|part| part.0).filter(is_wanted).collect()
}

/// The help text.
pub(super) fn usage() -> String {
    let mut usage = "\
usage: cargo xtask test [PART...] [--cuts N]

Runs these parts and those that they need, or all parts:

"
    .to_owned();
    for (_, name, about, _) in PARTS {
        usage += &format!("  {name:<14} {about}\n");
    }
    usage + "\n  --cuts N       how often `powercut` cuts the power [default: 5]; prints each cut\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_with_what_they_need() {
        assert_eq!(in_order(&[]).len(), PARTS.len());
        assert_eq!(in_order(&[Doc, Fmt]), [Fmt, Doc]);
        assert_eq!(in_order(&[Podman]), [Dist, Podman]);
        assert_eq!(Part::named("dist-binaries"), Some(DistBinaries));
        assert_eq!(Part::named("all"), None);
    }

    #[test]
    fn what_is_needed_needs_nothing_itself() {
        for (part, _, _, needs) in PARTS {
            for needed in needs {
                assert_eq!(needed.needs(), [], "{part:?} needs {needed:?}");
                assert!(*needed < part, "{part:?} needs {needed:?}");
            }
        }
    }
}
