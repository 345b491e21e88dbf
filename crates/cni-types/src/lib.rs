//! The data of the [Container Network Interface](https://www.cni.dev/docs/spec/), versions 0.1.0
//! to 1.1.0.
//!
//! Everything here is a value: nothing reads a file, the environment or a clock. [`json`] decodes
//! the input of a runtime as Go does. A [`NetConf`] keeps the document that it was parsed from, and
//! plugins decode their own keys from it. The constructor of each type checks its input once
//! ([`ContainerId`], [`NetworkName`], [`Version`], …), and no other code checks it again.

mod address;
mod args;
mod attachment;
mod error;
pub mod json;
mod names;
mod netconf;
mod quote;
mod result;
mod version;

pub use address::{AddressError, parse_cidr, parse_ip, parse_ip_or_cidr};
pub use args::{ArgsError, CniArgs};
pub use attachment::{Attachment, ValidAttachment, ValidAttachments};
pub use error::{Code, Error, VersionedError};
pub use names::{ContainerId, IfName, LinkName, NameError, NetworkName, PluginType};
pub use netconf::{NetConf, RefusedConf, Section};
pub use quote::Quoted;
pub use result::{AddResult, Dns, Interface, IpConfig, Route};
pub use version::{UnsupportedVersion, Version};
