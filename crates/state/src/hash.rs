use siphasher::sip::SipHasher13;

/// A number for some bytes: SipHash-1-3 with the key 0.
///
/// It goes to disks and from process to process, so unlike that of the standard library it is the same for every build of
/// the plugins. A node's plugins may be replaced while its containers run: to another number for the same boot or the same
/// attachment, all that was noted under the first would be somebody else's.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    SipHasher13::new().hash(bytes)
}

/// As [`stable_hash`], with a key of its own: whoever does not know it cannot choose bytes that have one hash.
pub fn keyed_hash(key: (u64, u64), bytes: &[u8]) -> u64 {
    SipHasher13::new_with_keys(key.0, key.1).hash(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Whatever has to be changed for it to pass, it is not these numbers.
    #[test]
    fn it_never_changes() {
        assert_eq!(stable_hash(b""), 0xd1fb_a762_150c_532c);
        assert_eq!(stable_hash(b"c1\r\neth0"), 0xb828_ed4e_d4e8_9cc8);
        assert_eq!(keyed_hash((0, 0), b"c1\r\neth0"), 0xb828_ed4e_d4e8_9cc8);
    }

    #[test]
    fn another_key_makes_another_hash() {
        let hash = |key| keyed_hash(key, b"c1\r\neth0");
        assert_ne!(hash((1, 0)), hash((0, 0)));
        assert_ne!(hash((0, 1)), hash((0, 0)));
    }
}
