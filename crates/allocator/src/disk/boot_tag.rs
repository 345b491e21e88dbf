//! In which boot an address was given: noted as the modification time of the address's file.
//!
//! Nothing else about the file can say it: its contents and its name are the Go plugin's format.
//! The time is set before the file gets its name and is part of its inode, so it is there whenever
//! the file is, after a power cut as well, and no clock is involved. A file with any other time was
//! written by somebody else, and nothing is known of its boot.

use state::{BootId, Stamp, stable_hash};

use crate::Age;

/// Marks a modification time as a tag: times that clocks set have it once in a thousand million.
const NANOSECONDS: i64 = 271_828_182;

/// The seconds of tags are below this, in 1970 to 2004.
const SECONDS: u64 = 1 << 30;

/// The modification time of addresses that were given in the running boot.
///
/// Some file systems round times: those of ext file systems with inodes of 128 bytes are whole
/// seconds. What identifies a tag is then what they make of one, which is learnt by setting it
/// ([`BootTag::kept_as`]). Where all fractions are cut off, a file that somebody else wrote while
/// the clock stood before 2004 is taken for one of an earlier boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BootTag {
    set: Stamp,
    kept: Stamp,
}

impl BootTag {
    /// The tag of a boot, on a file system that keeps times as they are. That two boots have the
    /// same is possible, and means that one's addresses are not known to be from before the other.
    pub(super) fn of(boot: BootId) -> Self {
        let hash = stable_hash(&boot.to_bits().to_le_bytes());
        let set = Stamp {
            seconds: i64::try_from(hash % SECONDS).unwrap_or_default(),
            nanoseconds: NANOSECONDS,
        };
        Self { set, kept: set }
    }

    /// The same tag on a file system that makes this time of it.
    pub(super) fn kept_as(self, kept: Stamp) -> Self {
        Self { kept, ..self }
    }

    /// The time to give to files.
    pub(super) fn set(self) -> Stamp {
        self.set
    }

    /// The time that these files then have.
    pub(super) fn kept(self) -> Stamp {
        self.kept
    }

    /// The time to give to a file of some boot before this one, nobody knows which.
    pub(super) fn earlier(self) -> Stamp {
        // Far enough for those who round to even seconds, as FAT does.
        let seconds = (self.set.seconds + 4) % i64::try_from(SECONDS).unwrap_or(i64::MAX);
        Stamp {
            seconds,
            ..self.set
        }
    }

    /// Whether a file with this time was tagged, in whichever boot.
    pub(super) fn is_tag(self, stamp: Stamp) -> bool {
        stamp == self.kept
            || (stamp.nanoseconds == self.kept.nanoseconds
                && u64::try_from(stamp.seconds).is_ok_and(|seconds| seconds < SECONDS))
    }

    /// How old an address is whose file has this time.
    pub(super) fn age(self, stamp: Stamp) -> Age {
        if self.is_tag(stamp) && stamp != self.kept {
            Age::EarlierBoot
        } else {
            Age::ThisBoot
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
        assert_eq!(tag.set().seconds, 499_375_849);
    }

    const CLOCK: Stamp = Stamp {
        seconds: 1_700_000_000,
        nanoseconds: 123_456_789,
    };

    #[test]
    fn only_another_boots_tag_is_older() {
        let now = tag("5a2e9ee8-5b0c-4a34-b5c4-000000000001");
        let then = tag("5a2e9ee8-5b0c-4a34-b5c4-000000000002");
        assert_eq!(now.age(then.set()), Age::EarlierBoot);
        assert_eq!(now.age(now.earlier()), Age::EarlierBoot);
        assert_eq!(now.age(now.set()), Age::ThisBoot);
        for seconds in [0, 1_000_000, CLOCK.seconds] {
            let clock = Stamp { seconds, ..CLOCK };
            assert_eq!(now.age(clock), Age::ThisBoot);
            assert!(!now.is_tag(clock));
        }
        let recent = Stamp {
            seconds: CLOCK.seconds,
            ..then.set()
        };
        assert_eq!(now.age(recent), Age::ThisBoot);
    }

    #[test]
    fn tags_are_told_apart_where_times_are_rounded() {
        let seconds = |stamp: Stamp| Stamp {
            nanoseconds: 0,
            ..stamp
        };
        let even = |stamp: Stamp| Stamp {
            seconds: stamp.seconds & !1,
            nanoseconds: 0,
        };
        let hundredths = |stamp: Stamp| Stamp {
            nanoseconds: stamp.nanoseconds / 10_000_000 * 10_000_000,
            ..stamp
        };
        let roundings: [&dyn Fn(Stamp) -> Stamp; 3] = [&seconds, &even, &hundredths];
        for (number, round) in roundings.iter().enumerate() {
            let now = tag("5a2e9ee8-5b0c-4a34-b5c4-000000000001");
            let now = now.kept_as(round(now.set()));
            let then = tag("5a2e9ee8-5b0c-4a34-b5c4-000000000002");
            let ages = [now.set(), then.set(), now.earlier(), CLOCK].map(|t| now.age(round(t)));
            assert_eq!(
                ages,
                [
                    Age::ThisBoot,
                    Age::EarlierBoot,
                    Age::EarlierBoot,
                    Age::ThisBoot
                ],
                "rounding {number}"
            );
            assert!(now.is_tag(round(now.set())) && !now.is_tag(round(CLOCK)));
        }
    }
}
