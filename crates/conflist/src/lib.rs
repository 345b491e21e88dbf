//! What a container runtime does with a network's list of plugins (CNI specification, "Section 1:
//! network configuration format" and "Section 3: execution of network configurations").
//!
//! A [`NetworkList`] is parsed from text, and [`files`] finds it in a directory as libcni does. A
//! [`RuntimeConf`] is what the runtime says of one attachment. From both, a [`PluginRequest`] is
//! made for each plugin: its variables and its configuration, as values. A [`Runtime`] has the
//! plugins of a list answer their requests in the order of a command, passes `prevResult` on, and
//! keeps the result in a [`Cache`], in libcni's format. The caller decides how a plugin is run;
//! [`Plugins`] starts a process.

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
