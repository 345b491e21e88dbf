//! A container on several networks, in one transaction: for programs that run containers
//! themselves, and so know all of a container's networks at once.

use std::net::IpAddr;

use cni_types::{Attachment, ContainerId, IfName, NetworkName};

use super::keys;
use super::{DbStore, OWNERS, Transaction};
use crate::{
    AllocateError, Allocation, Demand, Range, RangeError, RangeSet, RangeSetError, RangeSets,
    RangeSetsError, RangeSpec, Reclaim, SetKey, Store, StoreError, allocate,
};

/// The driver of the networks whose addresses are in the database.
const DRIVER: &str = "host-local";

/// A network that a container is to be attached to.
#[derive(Clone, Debug)]
pub struct NetworkRequest {
    /// The network.
    pub network: NetworkName,
    /// The container's interface in it.
    pub ifname: IfName,
    /// The IPAM driver. The container gets no address here unless it is `host-local`.
    pub driver: String,
    /// The subnets. The container gets one address of each, from its lease range (`start` to
    /// `end`).
    pub subnets: Vec<RangeSpec>,
    /// Requested addresses, which the container gets instead of the next free ones of their
    /// subnets. They need not be in the lease ranges, and do not change which address comes next
    /// there.
    pub static_addresses: Vec<IpAddr>,
}

/// The addresses of a container in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerAddresses {
    /// The network.
    pub network: NetworkName,
    /// The container's interface in it; `None` if it was never recorded.
    pub ifname: Option<IfName>,
    /// The interface's addresses.
    pub addresses: Vec<IpAddr>,
}

/// Why a container gets no addresses.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// A subnet is invalid.
    #[error("network {network}: {source}")]
    Subnet {
        /// The network.
        network: NetworkName,
        /// What is wrong with it.
        source: RangeSetError,
    },
    /// The subnets of a network overlap, or are too many.
    #[error("network {network}: {source}")]
    Subnets {
        /// The network.
        network: NetworkName,
        /// What is wrong with them.
        source: RangeSetsError,
    },
    /// A network cannot give its addresses.
    #[error("network {network}: {source}")]
    Allocate {
        /// The network.
        network: NetworkName,
        /// Why it cannot.
        source: AllocateError,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives a container its addresses in all these networks and commits, or in none. Returns them in
/// the order of the requests.
///
/// # Errors
/// [`ContainerError`] of the first network that cannot give its addresses.
pub fn allocate_container(
    mut transaction: Transaction<'_>,
    container_id: &ContainerId,
    requests: &[NetworkRequest],
) -> Result<Vec<(NetworkName, Vec<Allocation>)>, ContainerError> {
    let mut given = Vec::new();
    for request in requests {
        let mut allocations = Vec::new();
        if request.driver == DRIVER {
            let mut store = transaction.network(&request.network);
            allocations = allocate_network(&mut store, container_id, request)?;
            transaction = store.into_transaction();
        }
        given.push((request.network.clone(), allocations));
    }
    transaction.commit()?;
    Ok(given)
}

/// The addresses that a container holds in all networks.
///
/// # Errors
/// [`StoreError`] if the database cannot be read.
pub fn lookup_container(
    transaction: &Transaction<'_>,
    container_id: &ContainerId,
) -> Result<Vec<ContainerAddresses>, StoreError> {
    let prefix = keys::of_container(container_id);
    transaction.scan(OWNERS, &prefix, |rest, value| {
        let (ifname, network) = keys::read_interface(rest)?;
        let addresses = keys::read_addresses(value)?;
        Some(ContainerAddresses {
            network,
            ifname,
            addresses,
        })
    })
}

/// Releases the addresses that a container holds in all networks, if any, and commits.
///
/// # Errors
/// [`StoreError`] if the database cannot be read or changed.
pub fn release_container(
    mut transaction: Transaction<'_>,
    container_id: &ContainerId,
) -> Result<(), StoreError> {
    for held in lookup_container(&transaction, container_id)? {
        let mut store = transaction.network(&held.network);
        for address in held.addresses {
            store.release(address)?;
        }
        transaction = store.into_transaction();
    }
    transaction.commit()
}

fn allocate_network(
    store: &mut DbStore<'_>,
    container_id: &ContainerId,
    request: &NetworkRequest,
) -> Result<Vec<Allocation>, ContainerError> {
    let network = || request.network.clone();
    let mut sets = Vec::new();
    for spec in &request.subnets {
        let range = range(spec, &request.static_addresses);
        let set = range
            .map_err(RangeSetError::from)
            .and_then(|range| RangeSet::new(vec![range]));
        sets.push(set.map_err(|source| ContainerError::Subnet {
            network: network(),
            source,
        })?);
    }
    let sets = RangeSets::new(sets).map_err(|source| ContainerError::Subnets {
        network: network(),
        source,
    })?;

    let attachment = Attachment {
        container_id: container_id.clone(),
        ifname: request.ifname.clone(),
    };
    let demand = Demand {
        attachment: &attachment,
        sets: &sets,
        requested: &request.static_addresses,
        reclaim: Reclaim::AfterReboot,
    };
    let mut turns = Vec::new();
    for (index, set) in sets.iter().enumerate() {
        let gives = |address: &IpAddr| set.range_of(*address).is_some();
        if request.static_addresses.iter().any(gives) {
            let key = SetKey { index, set };
            turns.push((key, store.last_given(key)?));
        }
    }
    let given = allocate(store, &demand).map_err(|source| ContainerError::Allocate {
        network: network(),
        source,
    })?;
    for (key, last) in turns {
        store.set_last_given(key, last)?;
    }
    Ok(given)
}

/// The range to allocate from: the lease range, or the whole subnet if a static address lies
/// outside of the lease range.
fn range(spec: &RangeSpec, static_addresses: &[IpAddr]) -> Result<Range, RangeError> {
    let lease = Range::new(*spec)?;
    let outside =
        |address: &IpAddr| lease.subnet().contains(*address) && !lease.span().contains(*address);
    if static_addresses.iter().any(outside) {
        return Range::new(RangeSpec {
            start: None,
            end: None,
            ..*spec
        });
    }
    Ok(lease)
}
