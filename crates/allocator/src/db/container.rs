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

/// The driver of the networks whose addresses are given here.
const DRIVER: &str = "host-local";

/// A network that a container is to be attached to.
#[derive(Clone, Debug)]
pub struct NetworkRequest {
    /// The network.
    pub network: NetworkName,
    /// The container's interface in it.
    pub ifname: IfName,
    /// What gives the network's addresses; unless that is `host-local`, the container gets none
    /// here.
    pub driver: String,
    /// The container gets one address of each: of the part from `start` to `end`, the lease range.
    pub subnets: Vec<RangeSpec>,
    /// Addresses that the container is to get, instead of the next free ones, in the subnets that
    /// they belong to. They need not be in the lease ranges, and do not change which address comes
    /// next there.
    pub static_addresses: Vec<IpAddr>,
}

/// What a container holds in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerAddresses {
    /// The network.
    pub network: NetworkName,
    /// The container's interface in it; none where it was never noted.
    pub ifname: Option<IfName>,
    /// The interface's addresses.
    pub addresses: Vec<IpAddr>,
}

/// Why a container got no addresses.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// A subnet makes no sense.
    #[error("network {network}: {source}")]
    Subnet {
        /// The network.
        network: NetworkName,
        /// What is wrong with it.
        source: RangeSetError,
    },
    /// The subnets of a network do not go together.
    #[error("network {network}: {source}")]
    Subnets {
        /// The network.
        network: NetworkName,
        /// What is wrong with them.
        source: RangeSetsError,
    },
    /// A network could not give its addresses.
    #[error("network {network}: {source}")]
    Allocate {
        /// The network.
        network: NetworkName,
        /// Why it could not.
        source: AllocateError,
    },
    /// The addresses could not be noted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives a container its addresses in all these networks, and commits; or in none. Returned in the
/// order of the requests.
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

/// Takes back what a container holds in all networks, and commits. It is no error if that is
/// nothing.
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

/// What a subnet may give: its lease range, or, if a static address lies outside of that, all of
/// it.
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
