//! `ipvlan`, a plugin that gives a container a sub-interface with the Ethernet address of one of
//! the node's links: the kernel distinguishes the two by their IP addresses.

mod config;
mod error;

use sub_interface::SubInterfacePlugin;

/// The plugin.
pub const IPVLAN: SubInterfacePlugin = SubInterfacePlugin {
    name: "ipvlan",
    config: config::of,
    config_of_add: config::of_add,
};
