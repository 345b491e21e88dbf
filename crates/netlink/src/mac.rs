//! Ethernet addresses.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

/// An Ethernet address. Its text is six pairs of lower-case hexadecimal digits between colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

/// A string that is not an Ethernet address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no Ethernet address: write it as 0a:58:0a:f4:01:02")]
pub struct InvalidMac(pub String);

impl Mac {
    /// The address that the kernel reports for a link that can have one and has none, such as a
    /// bridge that lost its last port.
    pub const NONE: Self = Self([0; 6]);

    /// A random address that is no manufacturer's: locally administered, not multicast.
    pub fn random() -> Self {
        let [first, b, c, d, e, f, ..] = random().to_be_bytes();
        Self([first & 0xfe | 0x02, b, c, d, e, f])
    }
}

/// A random name for a link that is never looked up by its name: a prefix, at most 7 bytes, and
/// eight hexadecimal digits, such as `veth1c9a04ff`.
pub fn random_name(prefix: &str) -> String {
    format!("{prefix}{:08x}", random() as u32)
}

/// Random bits. The standard library seeds its hash maps with getrandom(2); a keyed hash of nothing
/// is as random.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl FromStr for Mac {
    type Err = InvalidMac;

    /// Reads the forms that Go's `net.ParseMAC` reads: pairs of digits between colons or hyphens,
    /// groups of four between dots.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidMac(text.to_owned());
        let (separator, digits) = match (text.contains(':'), text.contains('-')) {
            (true, false) => (':', 2),
            (false, true) => ('-', 2),
            _ => ('.', 4),
        };
        let groups: Vec<&str> = text.split(separator).collect();
        let is_digits = |group: &&str| {
            group.len() == digits && group.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if groups.len() * digits != 12 || !groups.iter().all(is_digits) {
            return Err(invalid());
        }
        let number = u64::from_str_radix(&groups.concat(), 16).map_err(|_| invalid())?;
        let [_, _, a, b, c, d, e, f] = number.to_be_bytes();
        Ok(Self([a, b, c, d, e, f]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_an_address() {
        for text in ["0a:58:0A:f4:01:02", "0a-58-0a-f4-01-02", "0a58.0af4.0102"] {
            let mac: Mac = text.parse().unwrap();
            assert_eq!(mac.to_string(), "0a:58:0a:f4:01:02", "{text}");
        }
        for text in [
            "",
            "0a:58:0a:f4:01",
            "0a:58:0a:f4:01:02:03",
            "0a:58:0a:f4:01:0",
            "0a:58:0a:f4:1:02",
            "0a:58-0a:f4:01:02",
            "0a:58:0a:f4:01:+2",
            "0a580af40102",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(InvalidMac(text.to_owned())));
        }
    }

    #[test]
    fn random_ones_differ_and_are_for_local_use() {
        let (one, other) = (Mac::random(), Mac::random());
        assert_ne!(one, other);
        assert_eq!((one.0[0] & 3, other.0[0] & 3), (2, 2));
        let name = random_name("veth");
        assert_eq!(name.len(), 12);
        assert_ne!(name, random_name("veth"));
    }
}
