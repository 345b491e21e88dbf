//! The boot in which an address was given, recorded as the modification time of the address file.
//!
//! Name and contents of the file are the Go plugin's format, so they cannot record it. The time is
//! set before the file gets its name, and is part of the inode. So a file that exists has its time,
//! after a power cut too, and no clock is involved. A file with any other time was written by
//! somebody else, and its boot is unknown.

use state::{BootId, Stamp, stable_hash};

use crate::Age;

/// Marks a modification time as a tag. One in a thousand million times of a clock has it too.
const NANOSECONDS: i64 = 271_828_182;

/// The upper limit of a tag's seconds, which are in the years 1970 to 2004.
const SECONDS: u64 = 1 << 30;

/// The modification time of addresses that were given in the running boot.
///
/// Some file systems round times, for example ext file systems with inodes of 128 bytes to whole
/// seconds. There, the rounded time identifies a tag, and is learnt by setting a tag
/// ([`BootTag::kept_as`]). If all fractions are cut off, a file that somebody else wrote while the
/// clock was before 2004 counts as one of an earlier boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BootTag {
    set: Stamp,
    kept: Stamp,
}

impl BootTag {
    /// The tag of a boot, on a file system that does not round times. Two boots may have the same
    /// tag; then the addresses of the first are not recognised as old in the second.
    pub(crate) fn of(boot: BootId) -> Self {
        let hash = stable_hash(&boot.to_bits().to_le_bytes());
        let set = Stamp {
            seconds: i64::try_from(hash % SECONDS).unwrap_or_default(),
            nanoseconds: NANOSECONDS,
        };
        Self { set, kept: set }
    }

    /// The same tag on a file system that rounds it to this time.
    pub(crate) fn kept_as(self, kept: Stamp) -> Self {
        Self { kept, ..self }
    }

    /// The time to give to files.
    pub(super) fn set(self) -> Stamp {
        self.set
    }

    /// The time that these files then have, rounded by the file system.
    pub(super) fn kept(self) -> Stamp {
        self.kept
    }

    /// The time to give to a file of an unknown earlier boot.
    pub(super) fn earlier(self) -> Stamp {
        // Far enough away for file systems that round to even seconds, as FAT does.
        let seconds = (self.set.seconds + 4) % i64::try_from(SECONDS).unwrap_or(i64::MAX);
        Stamp {
            seconds,
            ..self.set
        }
    }

    /// Whether this time is a tag of any boot.
    pub(crate) fn is_tag(self, stamp: Stamp) -> bool {
        stamp == self.kept
            || (stamp.nanoseconds == self.kept.nanoseconds
                && u64::try_from(stamp.seconds).is_ok_and(|seconds| seconds < SECONDS))
    }

    /// The age of an address whose file has this time.
    pub(crate) fn age(self, stamp: Stamp) -> Age {
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

    // Tags are on the disks of nodes, where plugins of another build may read them in the same
    // boot.
    #[test]
    fn every_build_computes_the_same_tag() {
        let tag = tag("5a2e9ee8-5b0c-4a34-b5c4-000000000001");
        assert_eq!(tag.set().seconds, 499_375_849);
    }

    const CLOCK: Stamp = Stamp {
        seconds: 1_700_000_000,
        nanoseconds: 123_456_789,
    };

    #[test]
    fn only_a_tag_of_another_boot_is_older() {
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
    fn rounded_tags_are_recognised() {
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
