//! In which boot an address was given: noted as the modification time of the address's file.
//!
//! Nothing else about the file can say it: its contents and its name are the Go plugin's format. The time is set before the file
//! gets its name and is part of its inode, so it is there whenever the file is, after a power cut as well, and no clock
//! is involved. A file with any other time was written by somebody else, and nothing is known of its boot.

use state::{BootId, Stamp, stable_hash};

use crate::Age;

/// Marks a modification time as a tag: times that clocks set have it once in a thousand million.
const NANOSECONDS: i64 = 271_828_182;

/// The seconds of tags are below this, in 1970 to 2004.
const SECONDS: u64 = 1 << 30;

/// The modification time of addresses that were given in one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BootTag(Stamp);

impl BootTag {
    /// The tag of a boot. That two boots have the same is possible, and means that one's addresses are not known to be
    /// from before the other.
    pub(super) fn of(boot: BootId) -> Self {
        let hash = stable_hash(&boot.to_bits().to_le_bytes());
        let seconds = i64::try_from(hash % SECONDS).unwrap_or_default();
        Self(Stamp {
            seconds,
            nanoseconds: NANOSECONDS,
        })
    }

    /// The tag of some boot before this one, nobody knows which.
    pub(super) fn earlier(self) -> Self {
        let seconds = (self.0.seconds + 1) % i64::try_from(SECONDS).unwrap_or(i64::MAX);
        Self(Stamp { seconds, ..self.0 })
    }

    /// The tag that a file has as its time, if that is one.
    pub(super) fn from_stamp(stamp: Stamp) -> Option<Self> {
        let is_tag = stamp.nanoseconds == NANOSECONDS
            && u64::try_from(stamp.seconds).is_ok_and(|seconds| seconds < SECONDS);
        is_tag.then_some(Self(stamp))
    }

    /// The time to give to files.
    pub(super) fn stamp(self) -> Stamp {
        self.0
    }

    /// How old an address is whose file has this time, seen from the boot `now`.
    pub(super) fn age(stamp: Stamp, now: Option<BootTag>) -> Age {
        match (Self::from_stamp(stamp), now) {
            (Some(then), Some(now)) if then != now => Age::EarlierBoot,
            _ => Age::ThisBoot,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> BootTag {
        BootTag::of(BootId::parse(text).unwrap())
    }

    // A tag is on the disk of nodes, where plugins of another build may read it in the same boot.
    #[test]
    fn a_boots_tag_never_changes() {
        let tag = tag("5a2e9ee8-5b0c-4a34-b5c4-000000000001");
        assert_eq!(tag.stamp().seconds, 499_375_849);
    }

    #[test]
    fn only_another_boots_tag_is_older() {
        let now = tag("5a2e9ee8-5b0c-4a34-b5c4-000000000001");
        let then = tag("5a2e9ee8-5b0c-4a34-b5c4-000000000002");
        assert_eq!(BootTag::age(then.stamp(), Some(now)), Age::EarlierBoot);
        assert_eq!(BootTag::age(now.stamp(), Some(now)), Age::ThisBoot);
        assert_eq!(BootTag::age(then.stamp(), None), Age::ThisBoot);
        for seconds in [0, 1_000_000, 1_700_000_000] {
            let clock = Stamp {
                seconds,
                nanoseconds: 123_456_789,
            };
            assert_eq!(BootTag::age(clock, Some(now)), Age::ThisBoot);
        }
        let recent = Stamp {
            seconds: 1_700_000_000,
            ..then.stamp()
        };
        assert_eq!(BootTag::age(recent, Some(now)), Age::ThisBoot);
    }
}
