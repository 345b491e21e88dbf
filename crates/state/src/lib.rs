//! State on disk that is never half there.
//!
//! A [`Dir`] is an open directory: everything in it is reached by a bare name relative to its
//! descriptor, and whatever is no regular file in the place of one is an error, a symbolic link
//! too, which is not followed: nothing outside is ever touched. Writing takes a [`WriteGuard`]:
//! with one writer at a time, one name is enough for the file that is being written, and what a
//! kill leaves under it is overwritten by the next writer. A file appears under its own name only
//! when it is complete.
//!
//! Files are not synced. What they say is about containers of the running kernel: after a power cut
//! the containers are gone as well, and whoever reads a file treats an empty or garbled one as not
//! there.

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
