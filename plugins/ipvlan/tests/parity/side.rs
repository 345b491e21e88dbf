//! Running the same assertions with either side's plugin.

pub(crate) use testkit::Side;
use testkit::wire::{IPVLAN, Lab};

pub(crate) fn lab(side: Side) -> Option<Lab> {
    Lab::new(side, IPVLAN)
}

pub(crate) fn on_any_kernel(side: Side) -> Option<Lab> {
    Lab::on_any_kernel(side, IPVLAN)
}

/// Makes two tests of each function, `<name>::ours` and `<name>::reference`.
macro_rules! both {
    ($($tests:tt)*) => {
        testkit::both! { crate::side::lab; $($tests)* }
    };
}

/// As [`both`], with any kernel.
macro_rules! both_on_any_kernel {
    ($($tests:tt)*) => {
        testkit::both! { crate::side::on_any_kernel; $($tests)* }
    };
}

pub(crate) use {both, both_on_any_kernel};
