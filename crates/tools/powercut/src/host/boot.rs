//! The life of the machine between a boot and the next power cut, chosen at random.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use super::disk::Loss;
use crate::event::Event;
use crate::guest::{AUDITED, BEGINS, RESTS, Task};

/// The machine's script. The kernel's messages could come between an event's bytes. The journal is
/// written out every second instead of every five, so that more of it is worth a look.
pub(super) const SCRIPT: &str = "\
dmesg -n 1
mount -t ext4 -o commit=1,noinit_itable /dev/vda /var/lib/cni || exit 1
RUST_BACKTRACE=0 /powercut guest
";

/// The life of a machine.
pub(super) struct Boot {
    pub(super) task: Task,
    /// When its power is cut, if it is.
    pub(super) cut: Option<Cut>,
}

/// When the power is cut.
pub(super) struct Cut {
    pub(super) in_audit: bool,
    /// After so many events of the audit or of the storm; if it is none, when the storm has come to
    /// rest; or when the timeout is over,
    events: Option<usize>,
    pub(super) timeout: Duration,
    /// and this time.
    pub(super) then: Duration,
    pub(super) loss: Loss,
    pub(super) is_followed_by_fresh_disk: bool,
}

/// More than there is ever time for.
const ENDLESS: u32 = 1_000_000;

impl Boot {
    /// The last one, which audits the state after all cuts.
    pub(super) fn last(number: u32) -> Self {
        let task = Task {
            boot: number,
            new_first: true,
            ..Task::default()
        };
        Self { task, cut: None }
    }

    pub(super) fn random(number: u32, is_fresh: bool, random: &mut Rng) -> Self {
        let in_audit = !is_fresh && random.u8(..4) == 0;
        // After the last call of a storm that comes to rest nothing is written any more.
        let comes_to_rest = !in_audit && random.u8(..3) == 0;
        let events = random.usize(..if in_audit { 400 } else { 120 });
        let losses = [Loss::Nothing, Loss::Cache, Loss::CacheBeforeFlush];
        let task = Task {
            boot: number,
            seed: random.u64(..),
            exact: false,
            new_first: random.bool(),
            fresh: is_fresh,
            calls: if comes_to_rest {
                random.u32(1..6)
            } else {
                ENDLESS
            },
            sync: !comes_to_rest && random.u8(..4) != 0,
            until_cut: true,
        };
        let cut = Cut {
            in_audit,
            events: (!comes_to_rest).then_some(events),
            timeout: Duration::from_secs(6),
            then: Duration::from_millis(random.u64(..300)),
            loss: random.choice(losses).unwrap_or(Loss::Nothing),
            is_followed_by_fresh_disk: random.u8(..5) == 0,
        };
        Self {
            task,
            cut: Some(cut),
        }
    }

    /// Whether the audit or the storm that is to be cut has begun.
    pub(super) fn has_begun(&self, console: &str) -> bool {
        self.since_begin(console).is_some()
    }

    /// Whether it is time for the cut.
    pub(super) fn is_due(&self, console: &str) -> bool {
        let since = self.since_begin(console).unwrap_or_default();
        match self.cut.as_ref().and_then(|cut| cut.events) {
            Some(events) => Event::all_in(since).count() >= events,
            None => since.contains(RESTS),
        }
    }

    fn since_begin<'a>(&self, console: &'a str) -> Option<&'a str> {
        let in_audit = self.cut.as_ref().is_some_and(|cut| cut.in_audit);
        let begin = if in_audit { BEGINS } else { AUDITED };
        console.split_once(begin).map(|(_, after)| after)
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.in_audit { "audit" } else { "storm" };
        match self.events {
            Some(events) => write!(f, "{:?} after {events} events of the {what}", self.then),
            None => write!(f, "{:?} after the last event of the {what}", self.then),
        }
    }
}
