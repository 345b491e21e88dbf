//! Networks, with their leases and ranges.

use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::SystemTime;

use allocator::{Age, Owner, RangeSet, RangeSets, StoreKind, Unowned};
use cni_types::NetworkName;
use cni_types::json::Object;

use crate::{Life, Part, Pod};

/// A network of the node: one that a configuration names, or that has leases or kept
/// configurations.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Its name.
    pub name: NetworkName,
    /// The file of its network list; `None` if the list is gone.
    pub list: Option<PathBuf>,
    /// The configuration of the plugin that creates the interface, rendered where that is
    /// flannel's delegate: by the present lease, or as flannel has kept it for a container. `None`
    /// where there is neither.
    pub conf: Part<Option<Object>>,
    /// host-local's directory.
    pub data_dir: PathBuf,
    /// The backend of host-local that the configuration selects; `None` where another IPAM plugin
    /// gives addresses, or where no configuration says it.
    pub backend: Option<StoreKind>,
    /// The addresses that are not free, in ascending order.
    pub leases: Vec<Lease>,
    /// Whether all leases could be read.
    pub is_read: bool,
    /// The ranges that addresses are given from; none where another IPAM plugin gives them, or
    /// where no configuration says it.
    pub ranges: Part<Option<RangeSets>>,
}

/// An address that is not free.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    /// The address.
    pub address: IpAddr,
    /// The store that it is recorded in.
    pub store: StoreKind,
    /// The attachment that holds it, or the reason why none does.
    pub owner: Result<Owner, Unowned>,
    /// The boot in which it was allocated.
    pub age: Age,
    /// The time when it was allocated, if the file system has it.
    pub since: Option<SystemTime>,
    /// Whether its owner is alive; `None` if it has none.
    pub life: Option<Life>,
    /// The pod that its owner is the sandbox of, where the runtime has noted it.
    pub pod: Option<Rc<Pod>>,
}

/// The use of a range set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeUse {
    /// The range set.
    pub set: RangeSet,
    /// The number of addresses that can be allocated.
    pub size: u128,
    /// The number of addresses that are not free.
    pub used: usize,
    /// The number of addresses that dead attachments hold.
    pub dead: usize,
}

impl RangeUse {
    /// How many addresses are free.
    pub fn free(&self) -> u128 {
        self.size.saturating_sub(self.used as u128)
    }
}

impl Lease {
    /// Whether its owner is dead.
    pub fn is_dead(&self) -> bool {
        matches!(self.life, Some(Life::Dead(_)))
    }
}

impl Network {
    /// How much of each range set is in use; none where the ranges are not known.
    pub fn range_use(&self) -> Vec<RangeUse> {
        let sets = self.ranges.as_ref().ok().and_then(Option::as_ref);
        let sets = sets.into_iter().flat_map(RangeSets::iter);
        let of_set = |set: &RangeSet| {
            let leases = self.leases.iter().filter(|lease| set.gives(lease.address));
            let (mut used, mut dead) = (0, 0);
            for lease in leases {
                used += 1;
                dead += usize::from(lease.is_dead());
            }
            RangeUse {
                set: set.clone(),
                size: set.size(),
                used,
                dead,
            }
        };
        sets.map(of_set).collect()
    }

    /// The leases that no range of the present configuration gives, such as those of an earlier
    /// lease of flanneld's. None where the ranges are not known.
    pub fn outside(&self) -> impl Iterator<Item = &Lease> {
        let sets = self.ranges.as_ref().ok().and_then(Option::as_ref);
        let gives =
            move |address| sets.is_none_or(|sets| sets.iter().any(|set| set.gives(address)));
        self.leases
            .iter()
            .filter(move |lease| !gives(lease.address))
    }

    /// The name of the bridge that its containers are plugged into; `None` if no bridge is known.
    pub fn bridge(&self) -> Option<String> {
        const DEFAULT: &str = "cni0";
        let conf = self.conf.as_ref().ok()?.as_ref()?;
        let plugin_type: Option<String> = conf.decode("type").ok()?;
        if plugin_type.as_deref() != Some("bridge") {
            return None;
        }
        let name: Option<String> = conf.decode("bridge").ok()?;
        Some(
            name.filter(|name| !name.is_empty())
                .unwrap_or_else(|| DEFAULT.to_owned()),
        )
    }
}
