//! Gives a container one address of a network in a temporary directory, and releases it, as
//! host-local's ADD and DEL do: `cargo run -p allocator --example attachment`.

#![allow(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;

use allocator::{
    DEFAULT_LOCK_TIMEOUT, Demand, Location, Range, RangeSet, RangeSets, RangeSpec, Reclaim,
    StoreKind, allocate,
};
use cni_types::Attachment;
use state::BootId;

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let location = Location {
        data_dir: temporary.path().to_owned(),
        network: "cbr0".parse()?,
        backend: StoreKind::Disk,
        lock_timeout: DEFAULT_LOCK_TIMEOUT,
    };
    let attachment = Attachment {
        container_id: "c1".parse()?,
        ifname: "eth0".parse()?,
    };
    let range = Range::new(RangeSpec {
        subnet: "10.244.1.0/24".parse()?,
        start: None,
        end: None,
        gateway: None,
    })?;
    let sets = RangeSets::new(vec![RangeSet::new(vec![range])?])?;

    let network = location.create()?;
    let mut store = network.begin(BootId::read())?;
    let demand = Demand {
        attachment: &attachment,
        sets: &sets,
        requested: &[],
        reclaim: Reclaim::AfterReboot,
    };
    for allocation in allocate(&mut *store, &demand)? {
        println!(
            "{attachment} has {}, its gateway is {}",
            allocation.address, allocation.gateway
        );
    }
    store.commit()?;

    let mut store = network.begin_to_release(BootId::read())?;
    for held in store.held_by(&attachment)? {
        store.release(held.address)?;
        println!("{} is free again", held.address);
    }
    store.commit()?;
    Ok(())
}
