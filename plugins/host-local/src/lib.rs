//! `host-local`, an IPAM plugin (CNI specification, "Section 4: plugin delegation"): it gives each
//! attachment one address of each range set of its network, and records the addresses on the node's
//! disk. The `allocator` chooses and stores the addresses.

mod add;
mod check;
mod config;
mod del;
mod error;
mod gc;
mod other_backend;
mod resolv_conf;
mod status;

use cni_plugin::CommandTable;

pub use config::ranges;

/// The plugin.
pub const HOST_LOCAL: CommandTable = CommandTable {
    name: "host-local",
    add: |call, attachment, _| add::add(call, attachment),
    del: |call, attachment, _| del::del(call, attachment),
    check: |call, attachment, _| check::check(call, attachment),
    gc: gc::gc,
    status: status::status,
};
