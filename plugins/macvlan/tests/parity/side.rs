//! Running the same assertions with either side's plugin.

pub(crate) use testkit::Side;
use testkit::wire::{Lab, MACVLAN};

pub(crate) fn lab(side: Side) -> Option<Lab> {
    Lab::new(side, MACVLAN)
}

/// Makes two tests of each function, `<name>::ours` and `<name>::reference`.
macro_rules! both {
    ($($tests:tt)*) => {
        testkit::both! { crate::side::lab; $($tests)* }
    };
}

/// Makes a test of each function that is about what only ours does, `<name>::ours`.
macro_rules! ours {
    ($($tests:tt)*) => {
        testkit::ours! { crate::side::lab; $($tests)* }
    };
}

pub(crate) use {both, ours};
