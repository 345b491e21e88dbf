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
