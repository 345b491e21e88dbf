//! CHECK: whether the kernel still limits the container's traffic as the configuration says.

use cni_plugin::{Call, ContainerNetns, Log};
use cni_types::{Attachment, Error};
use container_link::LinkAlias;
use netlink::traffic::{Bucket, Filter, Handle, Match, Qdisc, QdiscKind, Target};
use netlink::{Link, Rtnetlink};

use crate::config::{Config, Peers};
use crate::error::{BandwidthError, Damage};
use crate::names::{CLASS, PRIORITIES, SHAPER};
use crate::plan::{Direction, filters, police};
use crate::{burst, go, node_end};

pub(crate) fn check(
    call: &Call<'_>,
    attachment: &Attachment,
    netns: &ContainerNetns,
) -> Result<(), Error> {
    let config = Config::of(call)?;
    let previous = call.conf.required_prev_result()?;
    if config.is_empty() {
        return Ok(());
    }
    let mut kernel = Rtnetlink::open().map_err(BandwidthError::from)?;
    let name = LinkAlias::new(&call.conf.name, attachment).ifb_name();
    let node_end = node_end::find(attachment, netns, &previous, &name, &mut kernel)?;
    let ifb = kernel.link_by_name(&name).map_err(BandwidthError::from)?;
    match find_damage(&mut kernel, &node_end, ifb.as_ref(), &config)? {
        None => Ok(()),
        Some(damage) => Err(damage.into()),
    }
}

/// The first limit of an attachment that is missing or differs.
pub(crate) fn find_damage(
    kernel: &mut Rtnetlink,
    node_end: &Link,
    ifb: Option<&Link>,
    config: &Config,
) -> Result<Option<Damage>, BandwidthError> {
    let silent = Log::default();
    let bucket = |limit, direction| burst::bucket(limit, node_end.mtu, direction, &silent);
    if let Some(limit) = config.ingress {
        let bucket = bucket(limit, "ingress");
        let damage = at_root(kernel, node_end, bucket, &config.peers, "ingress")?;
        if damage.is_some() {
            return Ok(damage);
        }
    }
    match config.egress {
        Some(limit) => egress(kernel, node_end, ifb, bucket(limit, "egress"), config),
        None => Ok(None),
    }
}

/// CHECK of the root qdisc of a link.
fn at_root(
    kernel: &mut Rtnetlink,
    link: &Link,
    expected: Bucket,
    peers: &Peers,
    direction: &'static str,
) -> Result<Option<Damage>, BandwidthError> {
    let gone = |what| Damage::Gone {
        direction,
        what,
        link: link.name.clone(),
    };
    let Some(root) = kernel.qdisc(link.index, Handle::ROOT)? else {
        return Ok(Some(gone("the qdisc")));
    };
    let found = match (&root.kind, peers) {
        (QdiscKind::Tbf(bucket), Peers::All) => *bucket,
        (QdiscKind::Htb, Peers::In(_) | Peers::NotIn(_)) if root.handle == SHAPER => {
            let Some(class) = kernel.class(link.index, CLASS)? else {
                return Ok(Some(gone("the class of the qdisc")));
            };
            let wanted = filters(peers, Direction::Ingress, &Target::Class(CLASS));
            if !are_same(&own(kernel.filters(link.index, SHAPER)?), &wanted) {
                return Ok(Some(gone("a filter of the qdisc")));
            }
            class.bucket
        }
        _ => return Ok(Some(gone("the qdisc"))),
    };
    Ok(compare(link, &root, found, expected, direction))
}

/// CHECK of egress.
fn egress(
    kernel: &mut Rtnetlink,
    node_end: &Link,
    ifb: Option<&Link>,
    bucket: Bucket,
    config: &Config,
) -> Result<Option<Damage>, BandwidthError> {
    let direction = "egress";
    let gone = |what| Damage::Gone {
        direction,
        what,
        link: node_end.name.clone(),
    };
    let peers = &config.peers;
    let found = match kernel.qdisc(node_end.index, Handle::CLSACT)? {
        Some(_) => kernel.filters(node_end.index, Handle::INCOMING)?,
        None => return Ok(Some(gone("the qdisc clsact"))),
    };
    let own = own(found.clone());
    let are = |target| are_same(&own, &filters(peers, Direction::Egress, &target));
    if let Some(ifb) = ifb
        && are(Target::Redirect { link: ifb.index })
    {
        if !ifb.is_up {
            let link = ifb.name.clone();
            return Ok(Some(Damage::Down { link }));
        }
        return at_root(kernel, ifb, bucket, &Peers::All, direction);
    }
    if are(police(node_end, bucket)) {
        return Ok(None);
    }
    // The Go plugin's ifb.
    match found.first() {
        Some(Filter {
            packets,
            target: Target::Redirect { link },
            ..
        }) if *packets == Match::all() && *peers == Peers::All => {
            match go::link_behind(kernel, *link)? {
                Some(ifb) => at_root(kernel, &ifb, bucket, peers, direction),
                None => Ok(Some(gone("the ifb behind"))),
            }
        }
        _ => Ok(Some(gone("a filter of what comes in"))),
    }
}

/// The plugin's own filters of a link.
fn own(mut filters: Vec<Filter>) -> Vec<Filter> {
    filters.retain(|filter| PRIORITIES.contains(&filter.priority));
    filters
}

/// Whether two lists have the same filters. The kernel numbers those of a priority upwards from
/// 2048, and continues from 1 after 4095: the order differs then, and has no effect.
fn are_same(found: &[Filter], wanted: &[Filter]) -> bool {
    let contains_all = || wanted.iter().all(|filter| found.contains(filter));
    found == wanted || (found.len() == wanted.len() && contains_all())
}

fn compare(
    link: &Link,
    root: &Qdisc,
    found: Bucket,
    expected: Bucket,
    direction: &'static str,
) -> Option<Damage> {
    let link = link.name.clone();
    if found.rate != expected.rate {
        return Some(Damage::Rate {
            direction,
            link,
            found: found.rate,
            expected: expected.rate,
        });
    }
    // The Go plugin accepts any burst, and rounds it.
    if root.handle == SHAPER && !found.agrees(expected) {
        return Some(Damage::Burst {
            direction,
            link,
            found: found.burst(),
            expected: expected.burst(),
        });
    }
    None
}
