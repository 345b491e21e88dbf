//! What the tests of this workspace share: running a plugin as a container runtime does
//! ([`Invocation`]), network namespaces ([`NetNs`]), a machine of one's own ([`Node`]), a delegate
//! that does what it is told ([`ScriptedDelegate`]), where the binaries under test are
//! ([`binaries`]), and what a test needs of the machine ([`requirements`]).
//!
//! Nothing here outlives the process that uses it: a namespace is held by an open file, never by a
//! mount, and files lie in temporary folders or on a node's own tmpfs.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "for tests only, where a panic is how a failure is told and the environment is an input"
)]

pub mod binaries;
pub mod coverage;
mod invocation;
mod netns;
mod node;
mod outcome;
pub mod requirements;
mod scripted;
mod side;

pub use invocation::{Invocation, Running};
pub use netns::NetNs;
pub use node::Node;
pub use outcome::{CniFailure, Outcome};
pub use scripted::{Call, Script, ScriptedDelegate};
pub use side::Side;
