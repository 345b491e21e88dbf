//! Qdiscs, filters and ifbs of the Go plugin.

use std::collections::HashSet;
use std::fmt::Write;

use cni_types::{NetworkName, ValidAttachments};
use hmac_sha512::Hash;
use netlink::traffic::{Filter, Handle, Qdisc, QdiscKind, Target};
use netlink::{Link, NetlinkError, Rtnetlink};

use crate::add::is_ifb;

/// The qdisc that limits, at the root of the node's end and of the ifb: `tbf` or, from 1.6.0 on,
/// `htb`.
pub(crate) const SHAPER: Handle = Handle::qdisc(1);

/// The start of its ifb's name.
pub(crate) const IFB_PREFIX: &str = "bwp";

/// The length of its ifb's name.
const IFB_LENGTH: usize = 15;

/// The name of its ifb, which all attachments of a container to a network share.
pub fn ifb_name(network: &str, container_id: &str) -> String {
    let hash = Hash::hash([network.as_bytes(), container_id.as_bytes()].concat());
    let mut name = IFB_PREFIX.to_owned();
    for byte in hash.iter().take(IFB_LENGTH / 2) {
        let _ = write!(name, "{byte:02x}");
    }
    name.truncate(IFB_LENGTH);
    name
}

/// Whether a qdisc at a link's root can be the Go plugin's.
pub(crate) fn is_shaper(qdisc: &Qdisc) -> bool {
    let is_kind = matches!(qdisc.kind, QdiscKind::Tbf(_) | QdiscKind::Htb);
    qdisc.handle == SHAPER && is_kind
}

/// Whether a filter redirects to one of its ifbs.
pub(crate) fn is_redirection(
    kernel: &mut Rtnetlink,
    filter: &Filter,
) -> Result<bool, NetlinkError> {
    let Target::Redirect { link } = filter.target else {
        return Ok(false);
    };
    let ifb = link_behind(kernel, link)?;
    Ok(ifb.is_some_and(|ifb| ifb.name.starts_with(IFB_PREFIX)))
}

/// The link that a filter redirects to; `None` if it is gone, and the filter has the index 0.
pub(crate) fn link_behind(
    kernel: &mut Rtnetlink,
    index: u32,
) -> Result<Option<Link>, NetlinkError> {
    if index == 0 {
        return Ok(None);
    }
    kernel.link_by_index(index)
}

/// The stale ones of its ifbs, to which no link redirects. The Go plugin's ADD adds the qdisc last,
/// so an ifb without one may belong to an ADD under way.
pub(crate) fn stale_ifbs(
    kernel: &mut Rtnetlink,
    links: &[Link],
    network: &NetworkName,
    valid: &ValidAttachments,
) -> Result<Vec<Link>, NetlinkError> {
    let is_its = |link: &&Link| is_ifb(link) && link.name.starts_with(IFB_PREFIX);
    let mut stale: Vec<Link> = links.iter().filter(is_its).cloned().collect();
    if stale.is_empty() {
        return Ok(stale);
    }
    let valid = valid.iter();
    let valid: HashSet<String> = valid
        .map(|valid| ifb_name(network.as_str(), &valid.container_id))
        .collect();
    stale.retain(|link| !valid.contains(&link.name));
    let mut used = HashSet::new();
    for link in kernel.links_with_clsact()? {
        for filter in kernel.filters(link, Handle::INCOMING)? {
            if let Target::Redirect { link } = filter.target {
                used.insert(link);
            }
        }
    }
    let mut gone = Vec::new();
    for ifb in stale.into_iter().filter(|ifb| !used.contains(&ifb.index)) {
        let root = kernel.qdisc(ifb.index, Handle::ROOT)?;
        if root.is_some_and(|root| is_shaper(&root)) {
            gone.push(ifb);
        }
    }
    Ok(gone)
}
