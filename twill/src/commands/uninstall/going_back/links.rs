//! Links that the Go plugins would not find.

use anyhow::{Context, Result};
use cni_types::{ContainerId, NetworkName};
use container_link::LinkAlias;
use netlink::{Change, Link, LinkChange, LinkKind, NetlinkError, Rtnetlink};
use node::NodeLink;
use twill_bandwidth::name_of_ifb_of_go;

use super::GoingBack;
use crate::error::in_words;

impl GoingBack {
    /// The Go `bandwidth` finds a container's ifb by its name.
    pub(super) fn rename_ifbs(&mut self) {
        let links = self.node.links.iter().flat_map(|links| links.iter());
        let renamings: Vec<(Link, String)> = links
            .filter(|it| matches!(&it.link.kind, LinkKind::Other(kind) if kind == "ifb"))
            .filter_map(|it| Some((it.link.clone(), name_with_go(it)?)))
            .filter(|(link, name)| link.name != *name)
            .collect();
        for (link, name) in renamings {
            let renamed = match self.dry_run {
                true => Ok(()),
                false => rename(&link, &name),
            };
            match renamed {
                Ok(()) => self.report(
                    &format!("ifb {}", link.name),
                    &format!("is now {name}, as the Go bandwidth finds it"),
                    &format!("would become {name}, as the Go bandwidth finds it"),
                ),
                Err(error) => self.lines.push(format!(
                    "left: ifb {}, which the Go bandwidth does not find: {}",
                    link.name,
                    in_words(&error)
                )),
            }
        }
    }
}

/// The name that the Go plugin would have given an ifb of Twill's; `None` for another's, and if the
/// alias is a digest.
fn name_with_go(it: &NodeLink) -> Option<String> {
    let owner = it.own_alias()?.strip_prefix(LinkAlias::PREFIX)?;
    let [network, container_id, _] = owner.split('/').collect::<Vec<_>>().try_into().ok()?;
    let network: NetworkName = network.parse().ok()?;
    let container_id: ContainerId = container_id.parse().ok()?;
    Some(name_of_ifb_of_go(network.as_str(), container_id.as_str()))
}

/// Kernels before 6.2 rename no link that is up.
fn rename(link: &Link, name: &str) -> Result<()> {
    let mut kernel = Rtnetlink::open()?;
    let named = LinkChange {
        name: Some(name.to_owned()),
        ..LinkChange::up(true)
    };
    let set = |change| Change::SetLink {
        link: link.index,
        change,
    };
    let renamed: Result<(), NetlinkError> = kernel
        .apply(&[set(LinkChange::up(false)), set(named)])
        .map(drop);
    if renamed.is_err() {
        drop(kernel.apply(&[set(LinkChange::up(true))]));
    }
    renamed.with_context(|| format!("cannot rename it to {name}"))
}
