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
mod ipam;
mod mac;
mod mark;
mod plan;
mod removal;
mod sandbox;
mod settings;
mod status;
mod undo;

pub use check::CheckError;
pub use conf::CommonConf;
pub use configure::{
    ConfigureError, ContainerLink, DuplicateDetection, announcement, code_of_refusal, configure,
};
pub use del::del;
pub use ipam::{Ipam, IpamCall, IpamError, ipam_type};
pub use mac::{MacError, parse_mac, requested_mac};
pub use mark::{Mark, Whose, stale_links};
pub use removal::{mac_of, previous_of_del, remove_link};
pub use sandbox::{IfnameTaken, Sandbox};
pub use status::not_ready;
pub use undo::Undo;
