//! The boot ID.

use std::path::Path;

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::read;

const PATH: &str = "/proc/sys/kernel/random/boot_id";

/// The length of the file in bytes: a UUID and a newline.
const LENGTH: usize = 37;

/// The boot ID, which identifies a start of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootId(u128);

impl BootId {
    /// Reads the ID of the running boot from `/proc/sys/kernel/random/boot_id`; `None` if it cannot
    /// be read.
    pub fn read() -> Option<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = openat(AT_FDCWD, Path::new(PATH), flags, Mode::empty()).ok()?;
        // The kernel gives all of it at once.
        let mut text = [0; LENGTH];
        let length = read(&file, &mut text).ok()?;
        Self::parse(str::from_utf8(text.get(..length)?).ok()?)
    }

    /// Parses a boot ID, which has the form of a UUID.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.trim().split('-').collect();
        u128::from_str_radix(&digits, 16).ok().map(Self)
    }

    /// The 128 bits of the ID.
    pub fn to_bits(self) -> u128 {
        self.0
    }
}
