//! The boot ID.

use std::fs;

/// Which start of the kernel this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootId(u128);

impl BootId {
    /// Reads it from `/proc/sys/kernel/random/boot_id`; `None` if the kernel does not tell.
    pub fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?)
    }

    /// Reads it from text in the form of a UUID.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.trim().split('-').collect();
        u128::from_str_radix(&digits, 16).ok().map(Self)
    }

    /// Its 128 bits.
    pub fn to_bits(self) -> u128 {
        self.0
    }
}
