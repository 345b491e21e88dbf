//! Repairs of faults.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use allocator::{DEFAULT_LOCK_TIMEOUT, Location, StoreKind, Unowned, read_file};
use anyhow::{Context as _, Result, bail};
use cni_types::NetworkName;
use cni_types::json::{self, Object};
use container_link::LinkAlias;
use firewall::{Backend, Iptables, Nftables, remove_unreached_port_map};
use ipnetwork::IpNetwork;
use netlink::{Change, OWN_PROTOCOL, Rtnetlink};
use state::BootId;

use super::Examined;
use super::rule_check::Unmasqueraded;
use super::unrecorded::Unrecorded;
use crate::context::Context;
use crate::holdings::free::{Freed, free};
use crate::holdings::{Holding, links_with_alias};

/// The repair of a fault. Each repair checks again, under the lock concerned, that the fault exists
/// before it changes something.
#[derive(Clone, Debug)]
pub(crate) enum Repair {
    /// Frees the holdings of a dead attachment.
    Free(Box<Holding>),
    /// Records the address of a container that runs.
    Record(Box<Unrecorded>),
    /// Removes a file of kept configurations that has no usable configuration.
    RemoveGarbledKept(PathBuf),
    /// Removes an address file that is empty or garbled.
    RemoveDebris {
        network: NetworkName,
        address: IpAddr,
        data_dir: PathBuf,
    },
    /// Removes an index, which the next call rebuilds.
    RemoveIndex {
        network: NetworkName,
        data_dir: PathBuf,
    },
    /// Gives a bridge an address.
    AddAddress { link: String, address: IpNetwork },
    /// Takes an address from a bridge.
    DeleteAddress { link: String, address: IpNetwork },
    /// Restores rules and sets of nftables.
    RestoreRules,
    /// Masquerades a living attachment.
    Masquerade(Box<Unmasqueraded>),
    /// Removes a chain of iptables with a port map, unless a rule leads to it.
    RemoveUnreached(String),
    /// Sets a kernel setting.
    SetSysctl {
        name: &'static str,
        value: &'static str,
    },
}

impl Repair {
    /// The action in words: `free all that it holds`.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Free(_) => "free all that it holds".to_owned(),
            Self::Record(_) => "record it".to_owned(),
            Self::RemoveGarbledKept(_) | Self::RemoveDebris { .. } | Self::RemoveIndex { .. } => {
                "remove the file".to_owned()
            }
            Self::AddAddress { .. } => "add the address".to_owned(),
            Self::DeleteAddress { .. } => "remove the address".to_owned(),
            Self::RestoreRules => "restore the rules".to_owned(),
            Self::Masquerade(_) => "masquerade it".to_owned(),
            Self::RemoveUnreached(_) => "remove the chain".to_owned(),
            Self::SetSysctl { value, .. } => format!("set it to {value}"),
        }
    }

    /// Carries the repair out, and returns a text about the result.
    pub(crate) fn apply(&self, examined: &Examined, context: &Context) -> Result<String> {
        match self {
            Self::Free(holding) => {
                let namespaces = examined.namespaces.as_ref();
                let namespace = namespaces
                    .and_then(|namespaces| holding.with_subject(|subject| namespaces.of(subject)));
                let freed = free(holding, namespace, &context.environment)?;
                Ok(match freed {
                    Freed::All => "freed",
                    Freed::Changed => "it has changed meanwhile, and was left alone",
                }
                .to_owned())
            }
            Self::Record(it) => it.record(),
            Self::RemoveGarbledKept(file) => remove_garbled_kept(file),
            Self::RemoveDebris {
                network,
                address,
                data_dir,
            } => remove_debris(data_dir, network, *address),
            Self::RemoveIndex { network, data_dir } => {
                remove(&data_dir.join(".index").join(network.as_str()))?;
                Ok("removed: the next call rebuilds it".to_owned())
            }
            Self::AddAddress { link, address } => {
                let mut kernel = Rtnetlink::open()?;
                let index = index_of(&mut kernel, link)?;
                kernel.apply(&[Change::add_address_of(OWN_PROTOCOL, index, *address)])?;
                Ok("added".to_owned())
            }
            Self::DeleteAddress { link, address } => {
                let mut kernel = Rtnetlink::open()?;
                let index = index_of(&mut kernel, link)?;
                let listed = kernel.addresses(index, None)?.into_iter();
                let own = listed.filter(|it| it.network == *address);
                for address in own.filter(|it| it.given.protocol == OWN_PROTOCOL) {
                    kernel.apply(&[Change::delete_address(index, &address)])?;
                }
                Ok("removed".to_owned())
            }
            Self::RestoreRules => {
                let done = Nftables::open()?.repair()?;
                Ok(match done.is_empty() {
                    true => "nothing can be restored: add the containers again".to_owned(),
                    false => done.join("; "),
                })
            }
            Self::Masquerade(it) => masquerade(it),
            Self::RemoveUnreached(chain) => {
                remove_unreached_port_map(chain)?;
                Ok("removed".to_owned())
            }
            Self::SetSysctl { name, value } => {
                let path = Path::new("/proc/sys").join(name);
                fs::write(&path, value).with_context(|| path.display().to_string())?;
                Ok(format!("set to {value}"))
            }
        }
    }
}

fn masquerade(it: &Unmasqueraded) -> Result<String> {
    let (network, attachment) = (&it.network, &it.attachment);
    let alias = LinkAlias::new(network, attachment);
    if !it.is_missing() || links_with_alias(alias.as_str())?.is_empty() {
        return Ok("it is masqueraded or gone by now".to_owned());
    }
    match it.backend {
        Backend::Nftables => Nftables::open()?.masquerade(network, attachment, &it.addresses)?,
        Backend::Iptables => Iptables.masquerade(network, attachment, &it.addresses)?,
    }
    Ok("masqueraded".to_owned())
}

fn index_of(kernel: &mut Rtnetlink, link: &str) -> Result<u32> {
    let found = kernel.link_by_name(link)?;
    Ok(found
        .with_context(|| format!("there is no link {link}"))?
        .index)
}

/// Removes a file that still has no usable configuration, under the directory's lock.
fn remove_garbled_kept(file: &Path) -> Result<String> {
    let (Some(dir), Some(name)) = (
        file.parent(),
        file.file_name().and_then(|name| name.to_str()),
    ) else {
        bail!("{} has no directory", file.display());
    };
    let Some(dir) = state::Dir::open(dir)? else {
        return Ok("it is gone".to_owned());
    };
    let guard = dir.lock_whole(DEFAULT_LOCK_TIMEOUT)?;
    let contents = dir.read(name)?.unwrap_or_default();
    if json::from_slice::<Object>(&contents).is_ok_and(|conf| conf.contains("type")) {
        return Ok("it is a configuration by now, and was left alone".to_owned());
    }
    guard.remove(name)?;
    Ok("removed".to_owned())
}

/// Removes an address file that still is debris, under the network's lock.
fn remove_debris(data_dir: &Path, network: &NetworkName, address: IpAddr) -> Result<String> {
    let location = Location {
        data_dir: data_dir.to_owned(),
        network: network.clone(),
        backend: StoreKind::Disk,
        lock_timeout: DEFAULT_LOCK_TIMEOUT,
    };
    let Some(opened) = location.open_to_release()? else {
        return Ok("it is gone".to_owned());
    };
    let store = opened.begin_to_release(BootId::read())?;
    let now = read_file(data_dir, network, address, BootId::read())?;
    let done = match now.map(|record| record.owner) {
        Some(Err(Unowned::Debris)) => {
            remove(&location.path().join(address.to_string()))?;
            "removed"
        }
        Some(_) => "it has an owner by now, and was left alone",
        None => "it is gone",
    };
    store.commit()?;
    Ok(done.to_owned())
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}
