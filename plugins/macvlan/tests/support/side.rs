//! Which of the two plugins a test is about, and running the same assertions with both.

pub(crate) use testkit::Side;

use crate::support::lab::Lab;

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

/// As [`run`], with any kernel.
#[track_caller]
pub(crate) fn run_on_any_kernel(side: Side, assertions: impl FnOnce(&Lab)) {
    if !side.is_chosen() {
        return;
    }
    if let Some(lab) = Lab::on_any_kernel(side) {
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

/// As [`both`], with any kernel.
macro_rules! both_on_any_kernel {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use crate::support::side::{Side, run_on_any_kernel};

            #[test]
            fn ours() {
                run_on_any_kernel(Side::Ours, super::$name);
            }

            #[test]
            fn reference() {
                run_on_any_kernel(Side::Reference, super::$name);
            }
        }
    )*};
}

pub(crate) use {both, both_on_any_kernel, ours};
