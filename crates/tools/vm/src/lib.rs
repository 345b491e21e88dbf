//! Runs programs in a virtual machine, for what the kernel of the machine that the tests run on
//! does not have.
//!
//! The virtual machine ([`Machine`]) is qemu with a kernel of Debian's ([`Kernel`]) and an
//! initramfs with busybox, the modules, and whatever files are asked for, together with the
//! libraries that they need. It has no network to the outside, and no disk unless it is given one,
//! so nothing is left of it.

mod kernel;
mod libraries;
mod machine;
mod running;

pub use kernel::Kernel;
pub use machine::{DISK_MODULES, Machine};
pub use running::{Finished, Running};
