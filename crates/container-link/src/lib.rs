//! What the plugins share that give a container an interface.
//!
//! An ADD opens the container's namespace ([`Sandbox`]), makes the link, asks the IPAM plugin
//! ([`Ipam`]), and gives the link what that answered ([`configure`]). Each step is noted with an
//! [`Undo`], which takes all of them back unless the ADD succeeds. DEL goes the other way
//! ([`del`]). CHECK compares `prevResult` with what is there ([`check`]).

pub mod check;
mod conf;
mod configure;
mod del;
mod error;
mod ipam;
mod mac;
mod mark;
mod plan;
mod removal;
mod sandbox;
mod settings;
mod undo;

pub use conf::CommonConf;
pub use configure::{ContainerLink, DuplicateDetection, announcement, configure};
pub use del::del;
pub use error::{
    CheckError, ConfigureError, IfnameTaken, IpamError, KernelError, MacError, SandboxError,
    code_of_refusal, not_ready,
};
pub use ipam::{Ipam, IpamCall, ipam_type};
pub use mac::{parse_mac, requested_mac};
pub use mark::{Mark, Whose, stale_links};
pub use removal::{mac_of, previous_of_del, remove_link};
pub use sandbox::Sandbox;
pub use undo::Undo;
