//! `bridge`, a plugin that attaches containers to a bridge on the node: a pair of links, one end in
//! the container and the other one a port of the bridge. Addresses come from an IPAM plugin (CNI
//! specification, "Section 4: plugin delegation").

mod add;
mod bridge_link;
mod changes;
mod check;
mod config;
mod del;
mod detach;
mod error;
mod forwarding;
mod gateway;
mod gc;
mod ipv6;
mod layer3;
mod leases;
mod pair;
mod port;
mod router_advertisements;
mod rules;
mod status;
mod undo;
mod vlan_gateway;

use cni_plugin::CommandTable;

/// The plugin.
pub const BRIDGE: CommandTable = CommandTable {
    name: "bridge",
    add: add::add,
    del: del::del,
    check: check::check,
    gc: gc::gc,
    status: status::status,
};
