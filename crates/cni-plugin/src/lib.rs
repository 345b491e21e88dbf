//! The edge between a CNI plugin and whoever calls it (CNI specification, "Section 2: execution
//! protocol").
//!
//! A call is a value, a [`Request`]: environment variables and standard input. So is the answer, a
//! [`Reply`]: standard output and exit status. [`dispatch`] goes from one to the other by way of a
//! [`Plugin`], and only [`main`] touches the process: it is all that a plugin's binary consists of.
//! A binary can be several plugins, a [`Bundle`]. [`Delegate`] is the same edge on the other side,
//! where a plugin is itself the caller of another one.

mod bundle;
mod command;
mod container_netns;
mod delegate;
mod depth;
mod dispatch;
mod environment;
mod exec;
mod log;
mod operation;
mod panic_answer;
mod plugin;
mod process;
mod streams;

pub use bundle::Bundle;
pub use command::Command;
pub use container_netns::ContainerNetns;
pub use delegate::{Delegate, DelegateCall, DelegateConf, DelegateError};
pub use dispatch::{Reply, Request, dispatch};
pub use environment::Environment;
pub use log::Log;
pub use plugin::{Call, Plugin};
pub use process::{main, main_of_bundle};
