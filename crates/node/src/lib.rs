//! Everything that a node of a flannel network holds, read into plain values: [`Node::read`].
//!
//! Nothing here prints, changes the node or asks a runtime. Each part is a [`Part`] of its own, so
//! that what cannot be read hides nothing else. It works on a node of the Go plugins too: their
//! files are the same, and what only Twill writes (the alias of a link, the records of the
//! firewall) is not there.
//!
//! No lock is held while something else is read. The address files are read without any; a database
//! is copied under its lock. Leases are read before links and namespaces, so that a container that
//! starts meanwhile is seen with its link, or not at all.
//!
//! ```text
//! paths                          where everything is
//! lists, binaries                the network configurations, and the plugins that they name
//! lease_file, kept, cached       what flanneld, flannel and the runtime have written
//! stores, network                leases and ranges
//! links, namespaces, processes   the kernel's links, on the node and in containers
//! life                           whether a lease is alive: pure
//! snapshot, attachments          all of it, and by attachment
//! ```

mod attachments;
mod binaries;
mod cached;
mod kept;
mod lease_file;
mod life;
mod links;
mod lists;
mod namespaces;
mod network;
mod part;
mod paths;
mod processes;
mod snapshot;
mod stores;

pub use attachments::KnownAttachment;
pub use binaries::{Binary, Origin, find_binaries};
pub use cached::{CachedAttachment, Pod};
pub use kept::{Kept, KeptConfs, KeptFile};
pub use lease_file::LeaseFile;
pub use life::{Death, Doubt, Evidence, Life, Sighting, Sightings};
pub use links::{NodeLink, NodeLinks};
pub use lists::{ListFile, conf_of, plugin_of, with_conf};
pub use namespaces::{ContainerNamespace, ContainerNamespaces};
pub use network::{Lease, Network, RangeUse};
pub use part::{Part, Problem};
pub use paths::Paths;
pub use processes::Processes;
pub use snapshot::{Node, Recorded};
pub use stores::{NetworkStore, Stores};
