//! ADD: sets `lo` up.

use cni_plugin::{Call, ContainerNetns};
use cni_types::{AddResult, Error, Interface, IpConfig, Version};
use container_link::{InContainer, Rollback, Sandbox, UndoInContainer, Undone};
use netlink::{Family, Link, LinkAddress, Rtnetlink};

use crate::error::Foreign;
use crate::lo;

/// Sets `lo` up, and returns `prevResult` or, without one, a result with the addresses of `lo`.
pub(crate) fn add(call: &Call<'_>, netns: &ContainerNetns) -> Result<String, Error> {
    let version = call.conf.version;
    // The result of the plugins before this one in a chain is passed on as it is.
    let previous = call.conf.passed_on_prev_result()?;
    let sandbox_name = netns.sandbox()?;
    let (sandbox, mut inside) = Sandbox::open(netns)?;
    let lo = lo::find(&mut inside)?;
    let mut rollback = Rollback::<UndoInContainer>::default();
    if !lo.is_up {
        lo::set_up(&mut inside, true)?;
        rollback.record(UndoInContainer::SetDown { link: lo::INDEX });
    }
    let outcome = addresses(&mut inside).and_then(|addresses| match previous {
        Some(previous) => Ok(previous),
        None => Ok(result(&lo, &addresses, sandbox_name, version).encode(version)?),
    });
    if outcome.is_err() {
        let mut container = InContainer {
            sandbox: &sandbox,
            inside: &mut inside,
            ipam: None,
        };
        rollback.carry_out(call.log, |step| {
            container.carry_out(step).map(|()| Undone::Yes)
        });
    }
    outcome
}

/// The addresses of `lo`, all of which must be loopback addresses.
fn addresses(inside: &mut Rtnetlink) -> Result<Vec<LinkAddress>, Error> {
    let addresses = inside.addresses(lo::INDEX, None)?;
    match addresses
        .iter()
        .find(|address| !address.network.ip().is_loopback())
    {
        Some(foreign) => Err(Foreign(foreign.network).into()),
        None => Ok(addresses),
    }
}

/// The result: `lo` with the first address of each family that the kernel has.
fn result(lo: &Link, addresses: &[LinkAddress], sandbox: &str, version: Version) -> AddResult {
    let first = |family| {
        let is_of_family = |address: &&LinkAddress| Family::of(address.network.ip()) == family;
        addresses.iter().find(is_of_family)
    };
    let ips = [first(Family::V4), first(Family::V6)];
    AddResult {
        interfaces: vec![Interface {
            name: lo::NAME.to_owned(),
            mac: lo.mac.map(|mac| mac.to_string()),
            mtu: (version >= Version::V1_1_0).then_some(lo.mtu),
            sandbox: Some(sandbox.to_owned()),
            ..Interface::default()
        }],
        ips: ips
            .into_iter()
            .flatten()
            .map(|address| IpConfig {
                interface: Some(0),
                address: address.network,
                gateway: None,
            })
            .collect(),
        ..AddResult::default()
    }
}
