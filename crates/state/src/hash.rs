//! Hashes and checksums that are stored on disk, so no build of the plugins may change them.

use siphasher::sip::SipHasher13;

/// A hash of some bytes: SipHash-1-3 with the key 0.
///
/// Unlike the standard library's hash, it is the same in every build of the plugins. A node's
/// plugins may be replaced while its containers run; if the new ones hashed a boot ID or an
/// attachment differently, they would not find the records of the old ones.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    SipHasher13::new().hash(bytes)
}

/// As [`stable_hash`], with a key. Nobody who does not know the key can choose bytes that have the
/// same hash.
pub fn keyed_hash(key: (u64, u64), bytes: &[u8]) -> u64 {
    SipHasher13::new_with_keys(key.0, key.1).hash(bytes)
}

/// A checksum of a page on disk. It detects damage, not malice: whoever can write the page can
/// write the checksum too. With different seeds, equal pages have different checksums.
///
/// Each step maps different values to different ones. So the checksum always detects a change
/// within eight bytes, and misses any other change once in 2^64 times.
pub fn checksum(seed: u64, page: &[u8]) -> u64 {
    // The golden ratio's digits: an odd number without a pattern.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let (words, rest) = page.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let rest = rest.iter().map(|byte| u64::from(*byte));
    let sum = words.chain(rest).fold(seed, mix);
    sum ^ (sum >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    // These numbers are on the disks of nodes: they must not be changed to make the test pass.
    #[test]
    fn it_never_changes() {
        assert_eq!(stable_hash(b""), 0xd1fb_a762_150c_532c);
        assert_eq!(stable_hash(b"c1\r\neth0"), 0xb828_ed4e_d4e8_9cc8);
        assert_eq!(keyed_hash((0, 0), b"c1\r\neth0"), 0xb828_ed4e_d4e8_9cc8);
    }

    #[test]
    fn checksums_never_change() {
        assert_eq!(checksum(0, b""), 0);
        assert_eq!(checksum(!0, &[0; 8]), 0xd016_b07d_bc2f_a0b5);
        assert_eq!(checksum(7, b"c1\r\neth0x"), 0xb84b_941f_ca40_c437);
    }

    #[test]
    fn every_changed_byte_changes_the_checksum() {
        let page = *b"twelve bytes";
        for index in 0..page.len() {
            let mut changed = page;
            changed[index] ^= 1;
            assert_ne!(checksum(1, &changed), checksum(1, &page), "{index}");
        }
        assert_ne!(checksum(2, &page), checksum(1, &page));
    }

    #[test]
    fn another_key_makes_another_hash() {
        let hash = |key| keyed_hash(key, b"c1\r\neth0");
        assert_ne!(hash((1, 0)), hash((0, 0)));
        assert_ne!(hash((0, 1)), hash((0, 0)));
    }
}
