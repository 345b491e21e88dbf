//! The edge between a CNI plugin and its caller (CNI specification, "Section 2: execution
//! protocol").
//!
//! A call is a value, a [`Request`]: environment variables and standard input. The answer is a
//! value too, a [`Reply`]: standard output and exit status. [`dispatch`] validates a request and
//! calls the method of a [`Plugin`] that the command selects. Only [`main`] touches the process: a
//! plugin's binary consists of a call of it. [`main_of_bundle`] is the `main` of a multi-call
//! binary, which contains several plugins ([`Bundle`]). A plugin that runs another plugin does so
//! through a [`Delegate`], which it gets from its [`Call`].
//!
//! # A whole plugin
//!
//! An IPAM plugin that gives an attachment the address in its configuration,
//! `"ipam": { "type": "fixed", "address": "10.1.2.3/24" }`:
//!
//! ```
//! use std::process::ExitCode;
//!
//! use cni_plugin::{Call, ContainerNetns, Plugin, Reply, Request, dispatch};
//! use cni_types::{AddResult, Attachment, Code, Error, IpConfig, NetConf, parse_cidr};
//!
//! /// The plugin.
//! #[derive(Debug)]
//! pub struct Fixed;
//!
//! impl Plugin for Fixed {
//!     fn name(&self) -> &'static str {
//!         "fixed"
//!     }
//!
//!     fn add(
//!         &self,
//!         call: &Call<'_>,
//!         attachment: &Attachment,
//!         _netns: &ContainerNetns,
//!     ) -> Result<String, Error> {
//!         let ip = address(call.conf)?;
//!         call.log.info(format_args!("{} gets {}", attachment, ip.address));
//!         let result = AddResult { ips: vec![ip], ..AddResult::default() };
//!         result.encode(call.conf.version)
//!     }
//!
//!     // DEL succeeds whenever there is nothing to remove. This plugin stores nothing.
//!     fn del(
//!         &self,
//!         _call: &Call<'_>,
//!         _attachment: &Attachment,
//!         _netns: Option<&ContainerNetns>,
//!     ) -> Result<(), Error> {
//!         Ok(())
//!     }
//!
//!     fn check(
//!         &self,
//!         call: &Call<'_>,
//!         attachment: &Attachment,
//!         _netns: &ContainerNetns,
//!     ) -> Result<(), Error> {
//!         let expected = address(call.conf)?.address;
//!         let ips = call.conf.required_prev_result()?.ips;
//!         if ips.iter().any(|ip| ip.address == expected) {
//!             return Ok(());
//!         }
//!         let msg = format!("prevResult does not give {expected} to {attachment}");
//!         Err(Error::new(Code::CHECK_FAILED, msg))
//!     }
//! }
//!
//! /// Decodes and validates `ipam.address`. A message names the key, so that it can be corrected.
//! fn address(conf: &NetConf<'_>) -> Result<IpConfig, Error> {
//!     let text: Option<String> = conf.section("ipam")?.value("address")?;
//!     let address = parse_cidr(&text.unwrap_or_default()).map_err(|error| {
//!         Error::new(Code::INVALID_NETWORK_CONFIG, format!("ipam.address: {error}"))
//!     })?;
//!     Ok(IpConfig { interface: None, address, gateway: None })
//! }
//!
//! // src/main.rs
//! # mod binary {
//! # use super::{ExitCode, Fixed};
//! fn main() -> ExitCode {
//!     cni_plugin::main(&Fixed)
//! }
//! # }
//!
//! // A test needs no process: it passes a request as a value, and compares the reply.
//! # fn main() {
//! let call = |command: &str, stdin: &str| {
//!     let variables = [
//!         ("CNI_COMMAND", command),
//!         ("CNI_CONTAINERID", "c1"),
//!         ("CNI_IFNAME", "eth0"),
//!         ("CNI_NETNS", "/run/netns/c1"),
//!         ("CNI_PATH", "/opt/cni/bin"),
//!     ];
//!     let environment = variables.into_iter().collect();
//!     dispatch(&Fixed, &Request { environment, stdin: stdin.into() })
//! };
//!
//! let conf = r#"{"cniVersion":"1.0.0","name":"n","ipam":{"type":"fixed","address":"10.1.2.3/24"}}"#;
//! let added = Reply {
//!     stdout: "{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.1.2.3/24\"}]}\n".to_owned(),
//!     ..Reply::default()
//! };
//! assert_eq!(call("ADD", conf), added);
//! assert_eq!(call("DEL", conf), Reply::default());
//!
//! let refused = call("ADD", r#"{"cniVersion":"1.0.0","name":"n"}"#);
//! assert!(refused.failed);
//! assert_eq!(
//!     refused.stdout,
//!     "{\"cniVersion\":\"1.0.0\",\"code\":7,\"msg\":\"ipam.address: \\\"\\\" is no network in CIDR \
//!      notation, such as 10.0.0.0/24 or fd00::/64\"}\n"
//! );
//! # }
//! ```
//!
//! `examples/sysctl.rs` is a plugin that works in the container's namespace, with its tests.
//! `plugins/loopback` is the smallest plugin of the workspace: like the others, it is a
//! [`CommandTable`] with a module per command.

mod build_id;
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
mod trace;

pub use bundle::{Bundle, is_this_build};
pub use command::Command;
pub use container_netns::ContainerNetns;
pub use delegate::{Delegate, DelegateCall, DelegateConf, DelegateError};
pub use dispatch::{BUILD_MARK, Reply, Request, dispatch};
pub use environment::Environment;
pub use log::Log;
pub use plugin::{Call, CommandTable, Plugin};
pub use process::{main, main_of_bundle};
