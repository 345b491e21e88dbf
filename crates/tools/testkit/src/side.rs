//! Tests that run against ours and against the Go plugins.

/// An implementation of a plugin, together with the other plugins that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What is under test.
    Ours,
    /// Debian's Go plugins.
    Reference,
}

impl Side {
    /// Whether tests of this side are wanted: `TWILL_UNDER_TEST=ours` and `=reference` choose one.
    ///
    /// # Panics
    /// If the variable says anything else, but for `both`.
    #[must_use]
    pub fn is_chosen(self) -> bool {
        let chosen = std::env::var("TWILL_UNDER_TEST").unwrap_or_default();
        match chosen.as_str() {
            "" | "both" => true,
            "ours" => self == Self::Ours,
            "reference" => self == Self::Reference,
            other => panic!("TWILL_UNDER_TEST is {other:?}, none of ours, reference and both"),
        }
    }

    /// One of two values.
    pub fn pick<T>(self, ours: T, reference: T) -> T {
        match self {
            Self::Ours => ours,
            Self::Reference => reference,
        }
    }
}

/// Makes two tests of each function, `<name>::ours` and `<name>::reference`, on a lab of its own.
///
/// The first argument makes the lab for a side; with `None` there is nothing to run. A test can
/// also be a closure: `name: |lab| assert_all(lab, &conf());`.
#[macro_export]
macro_rules! both {
    ($lab:path; $($name:ident: $assertions:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn ours() {
                $crate::assert_on($lab($crate::Side::Ours), $assertions);
            }

            #[test]
            fn reference() {
                $crate::assert_on($lab($crate::Side::Reference), $assertions);
            }
        }
    )*};
    ($lab:path; $($name:ident),* $(,)?) => {
        $crate::both! { $lab; $($name: $name;)* }
    };
}

/// As [`both`], of what only ours does: `<name>::ours`.
#[macro_export]
macro_rules! ours {
    ($lab:path; $($name:ident: $assertions:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn ours() {
                $crate::assert_on($lab($crate::Side::Ours), $assertions);
            }
        }
    )*};
    ($lab:path; $($name:ident),* $(,)?) => {
        $crate::ours! { $lab; $($name: $name;)* }
    };
}

/// Runs assertions on a lab, if there is one: the body of the tests that [`both`] and [`ours`]
/// make.
pub fn assert_on<L>(lab: Option<L>, assertions: impl FnOnce(&L)) {
    if let Some(lab) = lab {
        assertions(&lab);
    }
}
