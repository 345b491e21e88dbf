//! What the tests of this workspace share: running a plugin as a container runtime does
//! ([`Invocation`]), network namespaces ([`NetNs`]), a machine of one's own ([`Node`]), a delegate
//! that follows a script ([`ScriptedDelegate`]), where the binaries under test are
//! ([`binaries`]), and what a test needs of the machine ([`requirements`]).
//!
//! What attaches containers is tested in a [`Lab`]: a node and the plugins of one [`Side`].
//! [`both`] runs the same assertions with either, on [`Container`]s and [`Link`]s, and a
//! [`Snapshot`] shows whether anything is different afterwards.
//!
//! Nothing here outlives the process that uses it: a namespace is held by an open file, never by a
//! mount, and files lie in temporary directories or on a node's own tmpfs.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "for tests only, where a panic reports a failure and the environment is an input"
)]

pub mod advertisement;
pub mod binaries;
pub mod conf;
mod container;
pub mod coverage;
pub mod exchange;
pub mod expectations;
mod invocation;
mod lab;
mod link;
mod netns;
mod node;
mod outcome;
pub mod removal;
pub mod requirements;
mod scripted;
mod side;
mod snapshot;
mod strace;
pub mod traffic;
pub mod wire;

pub use container::Container;
pub use invocation::{Invocation, Running};
pub use lab::Lab;
pub use link::Link;
pub use netns::NetNs;
pub use node::Node;
pub use outcome::{CniFailure, Outcome};
pub use scripted::{RecordedCall, Script, ScriptedDelegate};
pub use side::{Side, assert_on};
pub use snapshot::{Observed, Snapshot, assert_same};
pub use strace::Strace;
