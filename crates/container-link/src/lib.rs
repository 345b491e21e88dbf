//! Shared by the plugins that create a container's interface.
//!
//! An ADD opens the container's namespace ([`Sandbox`]), creates the link, calls the IPAM plugin
//! ([`Ipam`]), and gives the link the addresses and routes of the result ([`configure`]). How to
//! undo each step is recorded in a [`Rollback`], which is carried out if the ADD fails. DEL removes
//! the link and releases the addresses ([`del`]). CHECK compares `prevResult` with the kernel's
//! state ([`check`]).

pub mod check;
mod conf;
mod configure;
mod del;
mod ipam;
mod link_alias;
mod mac;
mod plan;
mod removal;
mod rollback;
mod sandbox;
mod settings;
mod status;

pub use check::CheckError;
pub use conf::CommonConf;
pub use configure::{
    ConfigureError, ContainerLink, DuplicateDetection, announcement, code_of_refusal, configure,
    wait_for_ipv6,
};
pub use del::del;
pub use ipam::{Ipam, IpamCall, IpamError, ipam_type};
pub use link_alias::{LinkAlias, Whose, stale_links};
pub use mac::{MacError, parse_mac, requested_mac};
pub use removal::{mac_of, previous_of_del, remove_link};
pub use rollback::{InContainer, Rollback, UndoInContainer, Undone};
pub use sandbox::{IfnameTaken, Sandbox};
pub use status::not_ready;
