//! `flannel`, a meta plugin: it completes another plugin's configuration from the lease that
//! flanneld obtained for this node, keeps that configuration for DEL, and calls the other plugin
//! (CNI specification, "Section 4: plugin delegation").

mod add;
mod check;
mod circle;
mod config;
mod del;
mod delegate_conf;
mod delegate_del;
mod delete_unchanged;
mod error;
mod gc;
pub mod inspect;
mod next_hops;
mod outlook;
mod prev_result;
mod rollback;
mod scratch;
mod status;
mod subnet_env;

pub use self::delete_unchanged::delete_unchanged;

use cni_plugin::CommandTable;

/// The plugin.
pub const FLANNEL: CommandTable = CommandTable {
    name: "flannel",
    add: |call, attachment, _| add::add(call, attachment),
    del: |call, attachment, _| del::del(call, attachment),
    check: |call, attachment, _| check::check(call, attachment),
    gc: gc::gc,
    status: status::status,
};
