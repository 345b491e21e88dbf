//! DEL: finds the qdiscs and the ifb by the attachment alone.

use cni_plugin::Call;
use cni_types::{AddResult, Attachment, Error};
use container_link::{LinkAlias, Whose, mac_of, previous_of_del};
use netlink::traffic::{Handle, Qdisc, QdiscKind, Target, TrafficChange};
use netlink::{Link, NetlinkError, Rtnetlink};

use crate::add::is_ifb;
use crate::error::BandwidthError;
use crate::go;
use crate::names::{PRIORITIES, SHAPER};
use crate::node_end::is_end;

pub(crate) fn del(call: &Call<'_>, attachment: &Attachment) -> Result<(), Error> {
    let previous = previous_of_del(call);
    Ok(remove(call, attachment, previous.as_ref())?)
}

fn remove(
    call: &Call<'_>,
    attachment: &Attachment,
    previous: Option<&AddResult>,
) -> Result<(), BandwidthError> {
    let alias = LinkAlias::new(&call.conf.name, attachment);
    let go_ifb = go::ifb_name(call.conf.name.as_str(), attachment.container_id.as_str());
    let own_ifb = alias.ifb_name();
    let previous_links = previous.map(node_links).unwrap_or_default();
    let ports: Vec<String> = alias.port_names().collect();
    let names = [&own_ifb, &go_ifb].into_iter().chain(&ports);
    let names = names
        .map(String::as_str)
        .chain(previous_links.iter().map(|(name, _)| *name));
    let mut kernel = Rtnetlink::open()?;
    let mut found = kernel.links_by_names(names)?;
    found.sort_by_key(|link| link.index);
    found.dedup_by_key(|link| link.index);
    let is_own_ifb = |link: &Link| {
        is_ifb(link)
            && ((link.name == own_ifb && alias.whose(link) == Whose::Own) || link.name == go_ifb)
    };
    let is_own_end = |link: &Link| {
        let is_in_result = || {
            let mut previous_links = previous_links.iter();
            previous_links.any(|(name, mac)| *name == link.name && link.mac == Some(*mac))
        };
        is_end(link)
            && match alias.whose(link) {
                Whose::Own => true,
                Whose::Other => false,
                Whose::Unknown => is_in_result(),
            }
    };
    let mut first_error = Ok(());
    let indexes_of = |is_it: &dyn Fn(&Link) -> bool| -> Vec<u32> {
        let own = found.iter().filter(|link| is_it(link));
        own.map(|link| link.index).collect()
    };
    let (mut ends, ifbs) = (indexes_of(&is_own_end), indexes_of(&is_own_ifb));
    if ends.is_empty() && !ifbs.is_empty() {
        // Without `prevResult`, the names of another plugin's links are not known.
        match links_that_redirect_to(&mut kernel, &ifbs) {
            Ok(found) => ends = found,
            Err(error) => first_error = Err(error),
        }
    }
    // Filters first, because packets that are redirected to a missing link are dropped.
    for end in ends {
        if let Err(error) = strip(&mut kernel, end)
            && !error.is_not_found()
        {
            first_error = first_error.and(Err(error));
        }
    }
    let removed = kernel.remove_links(&ifbs);
    for ifb in found.iter().filter(|link| is_own_ifb(link)) {
        call.log.debug(format_args!("{} removed", ifb.name));
    }
    Ok(first_error.and(removed)?)
}

/// The links on the node with a filter that redirects to one of these ifbs.
fn links_that_redirect_to(kernel: &mut Rtnetlink, ifbs: &[u32]) -> Result<Vec<u32>, NetlinkError> {
    let mut found = Vec::new();
    for link in kernel.links_with_clsact()? {
        let filters = kernel.filters(link, Handle::INCOMING)?;
        let mut targets = filters.iter().map(|filter| &filter.target);
        if targets.any(|to| matches!(to, Target::Redirect { link } if ifbs.contains(link))) {
            found.push(link);
        }
    }
    Ok(found)
}

/// The links on the node in a result, with their MACs.
fn node_links(result: &AddResult) -> Vec<(&str, netlink::Mac)> {
    let interfaces = result.interfaces.iter();
    let on_node = interfaces.filter(|interface| {
        // The kernel allows no longer names.
        interface.sandbox.is_none() && (1..=15).contains(&interface.name.len())
    });
    on_node
        .filter_map(|interface| Some((&*interface.name, mac_of(interface)?)))
        .collect()
}

/// Removes the qdiscs and filters of this plugin and the Go plugin from a link. Those of others
/// stay.
pub(crate) fn strip(kernel: &mut Rtnetlink, link: u32) -> Result<(), NetlinkError> {
    let mut removals = Vec::new();
    if let Some(root) = kernel.qdisc(link, Handle::ROOT)?
        && (root.handle == SHAPER || go::is_shaper(&root))
    {
        removals.push(TrafficChange::DeleteQdisc {
            link,
            parent: Handle::ROOT,
            handle: root.handle,
        });
    }
    if let Some(clsact) = kernel.qdisc(link, Handle::CLSACT)? {
        removals.extend(of_filters(kernel, link, &clsact)?);
    }
    let outcomes = kernel.control_traffic(&removals)?;
    let mut errors = outcomes.into_iter().filter_map(Result::err);
    errors
        .find(|error| !error.is_not_found())
        .map_or(Ok(()), Err)
}

/// The changes that remove the filters of `clsact` or, of the Go plugin, `ingress`, and the qdisc
/// itself if no other program has filters there.
fn of_filters(
    kernel: &mut Rtnetlink,
    link: u32,
    qdisc: &Qdisc,
) -> Result<Vec<TrafficChange>, NetlinkError> {
    let parent = Handle::INCOMING;
    let mut own = Vec::new();
    let mut has_others = false;
    for filter in kernel.filters(link, parent)? {
        if PRIORITIES.contains(&filter.priority) || go::is_redirection(kernel, &filter)? {
            own.push(filter.priority);
        } else {
            has_others = true;
        }
    }
    if qdisc.kind == QdiscKind::Clsact {
        has_others |= !kernel.filters(link, Handle::OUTGOING)?.is_empty();
    }
    if !has_others {
        return Ok(vec![TrafficChange::DeleteQdisc {
            link,
            parent: Handle::CLSACT,
            handle: qdisc.handle,
        }]);
    }
    own.dedup();
    let removals = own
        .into_iter()
        .map(|priority| TrafficChange::DeleteFilters {
            link,
            parent,
            priority,
        });
    Ok(removals.collect())
}
