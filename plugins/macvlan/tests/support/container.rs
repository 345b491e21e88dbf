//! Containers, and pings between them.

use std::borrow::Borrow;
use std::ops::Deref;

use testkit::traffic;

/// A container whose IPv6 addresses can be used at once.
pub(crate) struct Container(testkit::Container);

impl Deref for Container {
    type Target = testkit::Container;

    fn deref(&self) -> &testkit::Container {
        &self.0
    }
}

impl Borrow<testkit::Container> for Container {
    fn borrow(&self) -> &testkit::Container {
        &self.0
    }
}

impl Container {
    #[track_caller]
    pub(crate) fn new(id: &str) -> Self {
        let container = testkit::Container::new(id);
        // Duplicate address detection takes a second or two.
        container.set("ipv6/conf/default/accept_dad", "0");
        Self(container)
    }

    /// An address answers to pings from inside.
    #[track_caller]
    pub(crate) fn assert_reaches(&self, to: &str) {
        traffic::assert_reaches(self, to);
    }

    /// Whether one ping is answered, soon.
    #[track_caller]
    pub(crate) fn pings(&self, to: &str) -> bool {
        traffic::pings(self, &["-W1", to])
    }
}
