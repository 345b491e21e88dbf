//! Token buckets: a rate and a burst.

use crate::attributes::{Attributes, Malformed, u32_of};

/// The unit of the kernel's times in traffic control, in nanoseconds (`PSCHED_SHIFT`).
const TICK: u128 = 64;

const SECOND: u128 = 1_000_000_000;

/// The size of packets is counted without the overhead of a modem (`TC_LINKLAYER_ETHERNET`).
const LINKLAYER_ETHERNET: u8 = 1;

/// The size of the cells of a rate's table, as the exponent of a power of two. The kernel does not
/// read the table, but requires a valid size.
const CELL_LOG: u8 = 3;

/// A token bucket: a rate and a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// In bytes per second; not 0.
    pub rate: u64,
    /// The time in which the rate fills the bucket, in units of 64 ns. This is how the kernel
    /// stores the burst.
    pub depth: u32,
}

impl Bucket {
    /// A bucket of a rate in bytes per second, at least 1, and a burst in bytes. The kernel keeps
    /// at most 4 GiB, and no more than the rate makes in 274 seconds.
    pub fn new(rate: u64, burst: u64) -> Self {
        let rate = rate.max(1);
        let longest = u128::from(rate) * u128::from(u32::MAX) * TICK / SECOND;
        let most = longest.min(u128::from(u32::MAX));
        let ticks = (u128::from(burst).min(most) * SECOND).div_ceil(u128::from(rate) * TICK);
        Self {
            rate,
            depth: u32::try_from(ticks).unwrap_or(u32::MAX),
        }
    }

    /// The burst in bytes.
    pub fn burst(self) -> u64 {
        self.bytes_in(u128::from(self.depth) * TICK)
    }

    /// Whether both are the same to the kernel, which may have converted the burst from bytes.
    pub fn agrees(self, given: Self) -> bool {
        let tolerance = 2 + (given.depth >> 20);
        self.rate == given.rate && self.depth.abs_diff(given.depth) <= tolerance
    }

    /// The size in bytes of a queue in which no packet waits for longer than 25 ms once the bucket
    /// is empty, as the Go plugin configures `tbf`.
    pub(super) fn limit(self) -> u32 {
        let limit = self
            .bytes_in(SECOND / 40)
            .saturating_add(self.burst())
            .max(1);
        u32::try_from(limit).unwrap_or(u32::MAX)
    }

    fn bytes_in(self, nanoseconds: u128) -> u64 {
        let bytes = (u128::from(self.rate) * nanoseconds + SECOND / 2) / SECOND;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// The burst as `tbf` has it in an attribute of its own. Without that, it would be at most what
    /// the rate makes in 4.3 s.
    pub(super) fn tbf_burst(self) -> u32 {
        u32::try_from(self.burst()).unwrap_or(u32::MAX)
    }

    /// `struct tc_ratespec`. A rate that is too large for it follows in an attribute of its own.
    pub(super) fn rate_spec(self) -> [u8; 12] {
        let mut spec = [0; 12];
        let [cells, linklayer, ..] = &mut spec;
        (*cells, *linklayer) = (CELL_LOG, LINKLAYER_ETHERNET);
        let rate = u32::try_from(self.rate).unwrap_or(u32::MAX);
        let [.., a, b, c, d] = &mut spec;
        [*a, *b, *c, *d] = rate.to_ne_bytes();
        spec
    }

    /// Appends the rate, if it is too large for `struct tc_ratespec`.
    pub(super) fn large_rate(self, to: Attributes, kind: u16) -> Attributes {
        if self.rate < u64::from(u32::MAX) {
            to
        } else {
            to.bytes(kind, &self.rate.to_ne_bytes())
        }
    }

    /// Reads the rate of a `struct tc_ratespec`, or that of its own attribute, and the depth.
    pub(super) fn parse(spec: &[u8], depth: &[u8], large: &[u8]) -> Result<Self, Malformed> {
        let rate = spec.get(8..12).map_or(Ok(0), u32_of)?;
        let rate = if large.is_empty() {
            u64::from(rate)
        } else {
            let large = large.try_into();
            u64::from_ne_bytes(large.map_err(|_| Malformed("a rate has the wrong length"))?)
        };
        let depth = u32_of(depth)?;
        Ok(Self { rate, depth })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_keeps_its_burst() {
        // 1 Mbit/s, 15,000 bytes: 0.12 s.
        let bucket = Bucket::new(125_000, 15_000);
        assert_eq!(bucket.depth, 1_875_000);
        assert_eq!(bucket.burst(), 15_000);
        // 0.025 s of the rate, and the burst.
        assert_eq!(bucket.limit(), 18_125);
    }

    #[test]
    fn the_extremes_are_none_of_the_kernels() {
        // 40 Gbit/s, which does not fit into 32 bits.
        let fast = Bucket::new(5_000_000_000, 1 << 20);
        assert_eq!(fast.rate_spec()[8..], u32::MAX.to_ne_bytes());
        let large = fast.large_rate(Attributes::new(), 4).into_bytes();
        assert_eq!(large[4..], 5_000_000_000_u64.to_ne_bytes());
        let read = Bucket::parse(&fast.rate_spec(), &fast.depth.to_ne_bytes(), &large[4..]);
        assert_eq!(read.unwrap(), fast);
        let slow = Bucket::new(125_000, 15_000);
        assert_eq!(
            slow.large_rate(Attributes::new(), 4).into_bytes(),
            [0_u8; 0]
        );
        let read = Bucket::parse(&slow.rate_spec(), &slow.depth.to_ne_bytes(), &[]);
        assert_eq!(read.unwrap(), slow);

        assert_eq!(Bucket::new(0, 0), Bucket { rate: 1, depth: 0 });
        // `tbf` gets bytes, which have to fit into the time of 32 bits too.
        let least = Bucket::new(1, u64::MAX);
        assert_eq!((least.burst(), least.tbf_burst()), (274, 274));
        let most = Bucket::new(u64::MAX, u64::MAX);
        assert_eq!(
            (most.depth, most.tbf_burst(), most.limit()),
            (1, u32::MAX, u32::MAX)
        );
    }
}
