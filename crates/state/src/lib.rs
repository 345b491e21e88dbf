//! State on disk: files that appear complete or not at all, locks, and errors that name their path.
//!
//! A [`Dir`] is an open directory. Its files are opened by a bare name, relative to its descriptor.
//! Anything but a regular file (a symbolic link, for example) is an error and is never followed, so
//! nothing outside the directory is touched. A writer needs a [`WriteGuard`]. Because there is one
//! writer at a time, one temporary name is enough for the file that is being written, and the next
//! writer overwrites what a kill leaves there. A file gets its own name when it is complete.
//!
//! Files are not flushed with fsync(2). They describe containers of the running kernel, which a
//! power cut ends too; a reader treats an empty or garbled file as missing.

mod boot_id;
mod dir;
mod error;
mod hash;
mod in_use;
mod lock;
mod read;
mod space;
mod stamp;

pub use boot_id::BootId;
pub use dir::{Dir, StampedFile, WriteGuard};
pub use error::{Action, StateError};
pub use hash::{checksum, keyed_hash, stable_hash};
pub use in_use::InUse;
pub use read::{read_beginning, read_bounded};
pub use space::grow;
pub use stamp::{DirStamp, Stamp};
