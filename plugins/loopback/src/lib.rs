//! `loopback`: the plugin that brings up `lo` in a container, whatever `CNI_IFNAME` is.

mod add;
mod check;
mod del;
mod error;
mod lo;

use cni_plugin::CommandTable;

/// The plugin.
pub const LOOPBACK: CommandTable = CommandTable {
    name: "loopback",
    add: |call, _, netns| add::add(call, netns),
    del: |_, _, netns| del::del(netns),
    check: |_, _, netns| check::check(netns),
    gc: |_, _| Ok(()),
    status: |_| Ok(()),
};
