//! The part of a container runtime that runs a network's list of plugins (CNI specification,
//! "Section 1: network configuration format" and "Section 3: execution of network configurations").
//!
//! A [`NetworkList`] is parsed from text, and [`files`] finds it in a directory as libcni does. A
//! [`RuntimeConf`] has the runtime's parameters of one attachment. Both determine a
//! [`PluginRequest`] for each plugin: its variables and its configuration, as values. A [`Runtime`]
//! calls the plugins of a list in the order of a command, passes `prevResult` on, and keeps the
//! result in a [`Cache`], in libcni's format. The caller supplies the function that runs a plugin;
//! [`Plugins`] starts a process for each.

mod cache;
pub mod cnitool;
pub mod files;
mod list;
mod plugin_request;
mod plugins;
mod runtime;
mod runtime_conf;

pub use cache::{Cache, CacheError, Cached, DEFAULT_CACHE_DIR};
pub use list::{ListError, NetworkList, PluginConf};
pub use plugin_request::PluginRequest;
pub use plugins::Plugins;
pub use runtime::{OperationError, Runtime};
pub use runtime_conf::{RuntimeConf, RuntimeConfError};
