//! The data of the [Container Network Interface](https://www.cni.dev/docs/spec/), versions 0.1.0 to 1.1.0.
//!
//! Everything here is a value: nothing reads a file, the environment or a clock. What a runtime sends is decoded
//! with [`json`], which reads keys as Go does; what may be wrong in it is checked once, by the constructor of the
//! type that it ends up in ([`ContainerId`], [`NetworkName`], [`Version`], …), and never again after that.

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
pub use netconf::NetConf;
pub use quote::Quoted;
pub use result::{AddResult, Dns, Interface, IpConfig, Route};
pub use version::{UnsupportedVersion, Version};
