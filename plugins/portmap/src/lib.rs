//! `portmap`, a plugin that maps ports of the node to a container. It comes after the plugin that
//! creates the container's interface.

mod add;
mod check;
mod config;
mod del;
mod error;
mod gc;
mod status;

use cni_plugin::CommandTable;

/// The plugin.
pub const PORTMAP: CommandTable = CommandTable {
    name: "portmap",
    add: |call, attachment, _| add::add(call, attachment),
    del: |call, attachment, _| del::del(call, attachment),
    check: |call, attachment, _| check::check(call, attachment),
    gc: gc::gc,
    status: status::status,
};
