//! What a release consists of, per architecture and for all of them: the same bytes from the same
//! binaries, wherever and whenever they are packed.

#![allow(
    clippy::disallowed_methods,
    reason = "for developers' commands: they read the environment that packagers set"
)]

pub mod archive;
pub mod contents;
pub mod deb;
pub mod image;
pub mod notices;
pub mod release;
pub mod rpm;
pub mod sbom;
mod stage;
