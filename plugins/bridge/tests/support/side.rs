//! Which of the two plugins a test is about, and running the same assertions with both.

use crate::support::lab::Lab;

/// An implementation of bridge, with the host-local that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    /// Debian's Go plugins.
    Reference,
}

impl Side {
    /// Whether tests of this side are wanted: `TWILL_BRIDGE=ours` and `TWILL_BRIDGE=reference` choose one.
    #[allow(
        clippy::disallowed_methods,
        reason = "a test's environment is an input"
    )]
    pub(crate) fn is_chosen(self) -> bool {
        let chosen = std::env::var("TWILL_BRIDGE").unwrap_or_default();
        match chosen.as_str() {
            "" | "both" => true,
            "ours" => self == Self::Ours,
            "reference" => self == Self::Reference,
            other => panic!("TWILL_BRIDGE is {other:?}, none of ours, reference and both"),
        }
    }

    /// One of two values.
    pub(crate) fn pick<T>(self, ours: T, reference: T) -> T {
        match self {
            Self::Ours => ours,
            Self::Reference => reference,
        }
    }
}

/// Runs assertions on a node of their own, unless the side is not chosen or the machine cannot have it.
#[track_caller]
pub(crate) fn run(side: Side, assertions: impl FnOnce(&Lab)) {
    if !side.is_chosen() {
        return;
    }
    if let Some(lab) = Lab::new(side) {
        assertions(&lab);
    }
}

/// Makes two tests of each function, `<name>::ours` and `<name>::reference`.
macro_rules! both {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::support::side::{Side, run};

            #[test]
            fn ours() {
                run(Side::Ours, super::$name);
            }

            #[test]
            fn reference() {
                run(Side::Reference, super::$name);
            }
        }
    )*};
}

/// Makes a test of each function that is about what only ours does, `<name>::ours`.
macro_rules! ours {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::support::side::{Side, run};

            #[test]
            fn ours() {
                run(Side::Ours, super::$name);
            }
        }
    )*};
}

pub(crate) use {both, ours};
