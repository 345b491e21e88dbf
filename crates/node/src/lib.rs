//! Everything that a node of a flannel network holds, read into plain values: [`Node::read`].
//!
//! Nothing here prints, changes the node or asks a runtime. Each part is a [`Part`] of its own, so
//! a part that cannot be read does not hide the others. Reading works on a node of the Go plugins
//! too: their files are the same, and only Twill's own marks (the alias of a link, the records of
//! the firewall) are missing.
//!
//! Address files are read without a lock, and a database is copied under its lock; no lock is held
//! while anything else is read. Leases are read before links and namespaces. So if a container
//! starts meanwhile, its lease is seen together with its link, or not at all.
//!
//! ```text
//! paths                          where everything is
//! lists, binaries                the network configurations, and the plugins that they name
//! lease_file, kept, cached       what flanneld, flannel and the runtime have written
//! stores, network                leases and ranges
//! links, namespaces, processes   the kernel's links, on the node and in containers
//! sightings, life                whether a lease is alive: pure
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
mod sightings;
mod snapshot;
mod stores;

pub use attachments::KnownAttachment;
pub use binaries::{Binary, Origin, find_binaries, supported_versions};
pub use cached::{CachedAttachment, HostPort, Pod, read_cached};
pub use kept::{Kept, KeptConfs, KeptFile};
pub use lease_file::LeaseFile;
pub use life::{Death, Doubt, Evidence, Life, LinkPlace, Sighting};
pub use links::{NodeLink, NodeLinks};
pub use lists::{ListFile, conf_of, plugin_of, with_conf};
pub use namespaces::{ContainerNamespace, ContainerNamespaces};
pub use network::{Lease, Network, RangeUse};
pub use part::{Part, Problem};
pub use paths::{PLUGIN_DIRS, Paths};
pub use processes::Processes;
pub use sightings::Sightings;
pub use snapshot::{Node, Recorded};
pub use stores::{NetworkStore, Stores};
