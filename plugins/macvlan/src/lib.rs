//! `macvlan`, a plugin that gives a container a sub-interface of one of the node's links, with an
//! Ethernet address of its own.

mod config;
mod error;

use sub_interface::SubInterfacePlugin;

/// The plugin.
pub const MACVLAN: SubInterfacePlugin = SubInterfacePlugin {
    name: "macvlan",
    config: config::of,
    config_of_add: config::of_add,
};
