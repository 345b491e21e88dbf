//! Running the same assertions with both plugins.

pub(crate) use testkit::Side;

/// Makes two tests of each function, `<name>::ours` and `<name>::reference`.
macro_rules! both {
    ($($tests:tt)*) => {
        testkit::both! { crate::support::lab::Lab::new; $($tests)* }
    };
}

/// Makes a test of each function that is about what only ours does, `<name>::ours`.
macro_rules! ours {
    ($($tests:tt)*) => {
        testkit::ours! { crate::support::lab::Lab::new; $($tests)* }
    };
}

/// As [`both`], with any kernel.
macro_rules! both_on_any_kernel {
    ($($tests:tt)*) => {
        testkit::both! { crate::support::lab::Lab::on_any_kernel; $($tests)* }
    };
}

pub(crate) use {both, both_on_any_kernel, ours};
