//! `loopback`: the plugin that brings up `lo` in a container, whatever `CNI_IFNAME` is.

mod error;

use cni_plugin::{Call, ContainerNetns, Plugin};
use cni_types::{AddResult, Attachment, Error, Interface, IpConfig, Version};
use container_link::{KernelError, Sandbox, SandboxError, Undo};
use netlink::{Change, Family, Link, LinkAddress, LinkChange, NetlinkError, Rtnetlink};

use crate::error::{Foreign, NotUp};

/// The index of `lo` in every namespace (`LOOPBACK_IFINDEX`).
const INDEX: u32 = 1;
const NAME: &str = "lo";

/// The plugin.
#[derive(Clone, Copy, Debug)]
pub struct Loopback;

impl Plugin for Loopback {
    fn name(&self) -> &'static str {
        "loopback"
    }

    fn add(
        &self,
        call: &Call<'_>,
        _attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<String, Error> {
        let version = call.conf.version;
        // At the end of a chain, the plugin returns the other plugins' result.
        let previous = call.conf.passed_on_prev_result()?;
        let sandbox_name = netns.sandbox()?;
        let (sandbox, mut inside) = Sandbox::open(netns)?;
        let lo = find(&mut inside)?;
        let mut undo = Undo::new(call.log);
        if !lo.is_up {
            set_up(&mut inside, true)?;
            undo.push("set lo down", || {
                Ok(set_up(&mut sandbox.rtnetlink()?, false)?)
            });
        }
        let addresses = addresses(&mut inside)?;
        let encoded = match previous {
            Some(previous) => previous,
            None => result(&lo, &addresses, sandbox_name, version).encode(version)?,
        };
        undo.commit();
        Ok(encoded)
    }

    fn del(
        &self,
        _call: &Call<'_>,
        _attachment: &Attachment,
        netns: Option<&ContainerNetns>,
    ) -> Result<(), Error> {
        match Sandbox::open_if_any(netns)? {
            Some((_, mut inside)) => Ok(set_up(&mut inside, false)?),
            None => Ok(()),
        }
    }

    fn check(
        &self,
        _call: &Call<'_>,
        _attachment: &Attachment,
        netns: &ContainerNetns,
    ) -> Result<(), Error> {
        let (_, mut inside) = Sandbox::open(netns)?;
        if find(&mut inside)?.is_up {
            Ok(())
        } else {
            Err(NotUp(netns.path().to_owned()).into())
        }
    }
}

fn find(inside: &mut Rtnetlink) -> Result<Link, SandboxError> {
    Ok(inside.perform_and_read(&[], netlink::LinkRef::Index(INDEX))?)
}

fn set_up(inside: &mut Rtnetlink, is_up: bool) -> Result<(), SandboxError> {
    let change = LinkChange::up(is_up);
    Ok(inside.perform(&[Change::change_link(INDEX, &change)])?)
}

/// The addresses of `lo`. An address that is not a loopback address is an error.
fn addresses(inside: &mut Rtnetlink) -> Result<Vec<LinkAddress>, Error> {
    let kernel = |error: NetlinkError| Error::from(KernelError::from(error));
    let addresses = inside.addresses(INDEX, None).map_err(kernel)?;
    match addresses
        .iter()
        .find(|address| !address.network.ip().is_loopback())
    {
        Some(foreign) => Err(Foreign(foreign.network).into()),
        None => Ok(addresses),
    }
}

/// The result, with the first address of each family.
fn result(lo: &Link, addresses: &[LinkAddress], sandbox: &str, version: Version) -> AddResult {
    let first = |family| {
        let is_of_family = |address: &&LinkAddress| Family::of(address.network.ip()) == family;
        addresses.iter().find(is_of_family)
    };
    let ips = [first(Family::V4), first(Family::V6)];
    AddResult {
        interfaces: vec![Interface {
            name: NAME.to_owned(),
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
