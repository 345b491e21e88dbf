//! The holdings of attachments on this node (leases, kept configurations, links), and how those of
//! dead attachments are freed.
//!
//! [`read`] collects the holdings by attachment. Only afterwards may a command ask which containers
//! live. [`Inquest::fate`], which is pure, then decides for each holding whether its attachment is
//! dead, and [`free`](free::free) frees the holdings that have not changed since they were read.

mod fate;
pub(crate) mod free;
mod hidden;
mod read;

use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::SystemTime;

use allocator::{Age, Owner, Record, StoreKind};
use cni_types::{Attachment, IfName, NetworkName};
use container_link::LinkAlias;
use living::Subject;
use state::Stamp;

pub(crate) use self::fate::{Fate, Inquest};
pub(crate) use self::hidden::forget_irrelevant;
pub(crate) use self::read::{Filter, collect, links_with_alias, owner_of, read, settle};

/// The interface that runtimes ask for. A file that names no interface belongs to it.
const USUAL_IFNAME: &str = "eth0";

/// All holdings of one attachment in a network.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) network: NetworkName,
    /// The container, and its interface; without an interface if only old files name the container.
    pub(crate) owner: Owner,
    /// The `dataDir` of host-local that has its addresses.
    pub(crate) data_dir: Rc<Path>,
    /// Its addresses.
    pub(crate) leases: Vec<HeldLease>,
    /// The configuration that flannel has kept for it.
    pub(crate) kept: Option<HeldConf>,
    /// The links on the node that carry its alias.
    pub(crate) links: Vec<HeldLink>,
}

/// An address of an attachment, as recorded when the node was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldLease {
    pub(crate) store: StoreKind,
    pub(crate) address: IpAddr,
    pub(crate) age: Age,
    pub(crate) since: Option<SystemTime>,
}

/// A kept configuration at the time when the node was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeldConf {
    /// flannel's directory.
    pub(crate) flannel_dir: Rc<Path>,
    /// When the file was last changed.
    pub(crate) changed: Stamp,
}

/// A link at the time when the node was read. The kernel never reuses an index within a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeldLink {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// A time at which the link certainly existed, if one is known.
    pub(crate) since: Option<SystemTime>,
}

/// The age of the newest holding of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldingAge {
    /// The holding is from before the node was started.
    EarlierBoot,
    Since(SystemTime),
    /// The holding is in the database, which records no times.
    Unknown,
}

impl HeldLease {
    fn of(store: StoreKind, record: &Record) -> Self {
        Self {
            store,
            address: record.address,
            age: record.age,
            since: record.since,
        }
    }
}

impl Holding {
    pub(crate) fn new(network: &NetworkName, owner: Owner, data_dir: &Rc<Path>) -> Self {
        Self {
            network: network.clone(),
            owner,
            data_dir: Rc::clone(data_dir),
            leases: Vec::new(),
            kept: None,
            links: Vec::new(),
        }
    }

    /// The attachment.
    pub(crate) fn attachment(&self) -> Option<Attachment> {
        let usual = || USUAL_IFNAME.parse::<IfName>().ok();
        Some(Attachment {
            container_id: self.owner.container_id.clone(),
            ifname: self.owner.ifname.clone().or_else(usual)?,
        })
    }

    /// `10.1.1.2 of c1 eth0 in cbr0`.
    pub(crate) fn in_words(&self) -> String {
        let addresses = self.addresses().into_iter();
        let addresses: Vec<String> = addresses.map(|address| address.to_string()).collect();
        let of = format!("{} in {}", self.owner.in_words(), self.network);
        match addresses.is_empty() {
            true => of,
            false => format!("{} of {of}", addresses.join(", ")),
        }
    }

    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let addresses = self.leases.iter().map(|lease| lease.address);
        addresses.collect()
    }

    /// The alias of its links.
    pub(crate) fn alias(&self) -> Option<String> {
        let alias = LinkAlias::new(&self.network, &self.attachment()?);
        Some(alias.as_str().to_owned())
    }

    /// Passes `ask` what identifies the attachment to a source of living containers.
    pub(crate) fn with_subject<T>(&self, ask: impl FnOnce(Subject<'_>) -> T) -> T {
        let (addresses, alias) = (self.addresses(), self.alias());
        ask(Subject {
            owner: &self.owner,
            addresses: &addresses,
            alias: alias.as_deref(),
        })
    }

    pub(crate) fn age(&self) -> HoldingAge {
        let of_boot = |age: Age| self.leases.iter().any(|lease| lease.age == age);
        if of_boot(Age::EarlierBoot) && !of_boot(Age::ThisBoot) && self.links.is_empty() {
            return HoldingAge::EarlierBoot;
        }
        let leases = self.leases.iter().filter_map(|lease| lease.since);
        let kept = self.kept.as_ref().and_then(|kept| kept.changed.moment());
        let latest = leases.chain(kept).max();
        // The recorded time of a link may be long after the ADD that created it.
        let latest = latest.or_else(|| self.links.iter().filter_map(|link| link.since).max());
        latest.map_or(HoldingAge::Unknown, HoldingAge::Since)
    }
}
