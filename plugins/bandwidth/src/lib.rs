//! `bandwidth`, a chained plugin that limits the rates at which a container receives and sends, at
//! the node's end of its veth pair.

mod add;
mod burst;
mod check;
mod config;
mod del;
mod error;
mod gc;
mod go;
mod names;
mod node_end;
mod plan;
mod status;

pub use go::ifb_name as name_of_ifb_of_go;

use cni_plugin::CommandTable;

/// The plugin.
pub const BANDWIDTH: CommandTable = CommandTable {
    name: "bandwidth",
    add: add::add,
    del: |call, attachment, _| del::del(call, attachment),
    check: check::check,
    gc: gc::gc,
    status: status::status,
};
