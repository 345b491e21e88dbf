//! A plugin whose links share the wire of another one, their master: all that ipvlan and macvlan
//! have in common.

mod add;
mod conf;
mod error;
mod master;
mod upkeep;

use netlink::{Child, Kind};

pub use add::add;
pub use conf::{Addresses, ChildConf, MasterChoice};
pub use upkeep::{check, del, gc, status};

/// The kernel's name for a kind of child.
const fn kind_name(child: Child) -> &'static str {
    match child {
        Child::Ipvlan(_) => "ipvlan",
        Child::Macvlan(_) => "macvlan",
    }
}

/// The name of its mode.
const fn mode_name(child: Child) -> &'static str {
    match child {
        Child::Ipvlan(mode) => mode.as_str(),
        Child::Macvlan(mode) => mode.as_str(),
    }
}

/// What its links are, by the kernel's account.
const fn kind(child: Child) -> Kind {
    match child {
        Child::Ipvlan(mode) => Kind::Ipvlan(Some(mode)),
        Child::Macvlan(mode) => Kind::Macvlan(Some(mode)),
    }
}
