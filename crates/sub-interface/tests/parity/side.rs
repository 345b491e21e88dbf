//! Running the same assertions with either plugin, of either side.

pub(crate) use testkit::Side;
use testkit::wire::{IPVLAN, Lab, MACVLAN};

pub(crate) fn ipvlan(side: Side) -> Option<Lab> {
    Lab::new(side, IPVLAN)
}

pub(crate) fn macvlan(side: Side) -> Option<Lab> {
    Lab::new(side, MACVLAN)
}

pub(crate) fn ipvlan_on_any_kernel(side: Side) -> Option<Lab> {
    Lab::on_any_kernel(side, IPVLAN)
}

pub(crate) fn macvlan_on_any_kernel(side: Side) -> Option<Lab> {
    Lab::on_any_kernel(side, MACVLAN)
}

/// Makes four tests of each function: `<name>::ipvlan::ours` and `::reference`, and the same of
/// macvlan.
macro_rules! both {
    ($($name:ident: $assertions:expr;)*) => {$(
        mod $name {
            use super::*;

            testkit::both! { crate::side::ipvlan; ipvlan: $assertions; }
            testkit::both! { crate::side::macvlan; macvlan: $assertions; }
        }
    )*};
    ($($name:ident),* $(,)?) => {
        both! { $($name: $name;)* }
    };
}

/// Makes two tests of each function that is about what only ours does: `<name>::ipvlan::ours` and
/// `<name>::macvlan::ours`.
macro_rules! ours {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use super::*;

            testkit::ours! { crate::side::ipvlan; ipvlan: $name; }
            testkit::ours! { crate::side::macvlan; macvlan: $name; }
        }
    )*};
}

/// As [`both`], with any kernel.
macro_rules! both_on_any_kernel {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use super::*;

            testkit::both! { crate::side::ipvlan_on_any_kernel; ipvlan: $name; }
            testkit::both! { crate::side::macvlan_on_any_kernel; macvlan: $name; }
        }
    )*};
}

pub(crate) use {both, both_on_any_kernel, ours};
