//! The qdiscs, classes and filters that limit a container's traffic, as changes. Pure.
//!
//! ```text
//!                 node's end of the pair                       ifb
//!  to container ─▶ root: tbf ── fq_codel ─▶ container
//!                        (with subnets: htb, whose filters have a class or none)
//!  from container ◀─ root of the ifb: tbf ── fq_codel ◀─ clsact: filters redirect ◀─ container
//! ```

use ipnetwork::IpNetwork;
use netlink::Link;
use netlink::traffic::TrafficChange;
use netlink::traffic::{Bucket, Class, Filter, Handle, Match, Qdisc, QdiscKind, Target};

use crate::config::Peers;
use crate::names::{BELOW, CLASS, PRIORITIES, SHAPER};

/// The lowest target that RFC 8289 recommends, in microseconds.
const CODEL_TARGET: u64 = 5_000;
const CODEL_INTERVAL: u64 = 100_000;

/// The smallest burst of a policer, in bytes. It sees packets before segmentation (GSO), up to 64
/// KiB each.
const POLICE_BURST: u64 = 128 << 10;

/// The direction of traffic, which determines the other end's field in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To the container: the other end is the source.
    Ingress,
    /// From the container: the other end is the destination.
    Egress,
}

/// The changes that limit one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Root qdiscs and `clsact`. A link has at most one of each, so those of an earlier ADD
    /// conflict.
    pub(crate) roots: Vec<Root>,
    /// The classes and filters of these.
    pub(crate) inner: Vec<TrafficChange>,
    /// Optional qdiscs.
    pub(crate) niceties: Vec<TrafficChange>,
}

/// A qdisc at a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) link: u32,
    pub(crate) parent: Handle,
    pub(crate) qdisc: Qdisc,
}

impl Plan {
    /// The changes that add [`Plan::roots`].
    pub(crate) fn roots(&self) -> Vec<TrafficChange> {
        let add = |root: &Root| TrafficChange::AddQdisc {
            link: root.link,
            parent: root.parent,
            qdisc: root.qdisc.clone(),
        };
        self.roots.iter().map(add).collect()
    }

    /// Limits ingress.
    pub(crate) fn ingress(node_end: &Link, bucket: Bucket, peers: &Peers) -> Self {
        let link = node_end.index;
        let mut plan = Self::default();
        let kind = match peers {
            Peers::All => QdiscKind::Tbf(bucket),
            Peers::In(_) | Peers::NotIn(_) => QdiscKind::Htb,
        };
        if kind == QdiscKind::Htb {
            let (qdisc, handle) = (SHAPER, CLASS);
            let class = Class { handle, bucket };
            plan.inner
                .push(TrafficChange::AddClass { link, qdisc, class });
            let filters = filters(peers, Direction::Ingress, &Target::Class(CLASS));
            plan.inner.extend(add_filters(link, SHAPER, filters));
        }
        plan.roots.push(root(link, kind));
        plan.niceties.push(below(link, bucket, node_end.mtu));
        plan
    }

    /// Limits egress by an ifb.
    pub(crate) fn egress_by_ifb(node_end: &Link, ifb: u32, bucket: Bucket, peers: &Peers) -> Self {
        Self {
            roots: vec![root(ifb, QdiscKind::Tbf(bucket)), clsact(node_end.index)],
            inner: redirection(node_end.index, peers, &Target::Redirect { link: ifb }),
            niceties: vec![below(ifb, bucket, node_end.mtu)],
        }
    }

    /// Limits egress by a policer, for kernels without ifb.
    pub(crate) fn egress_by_police(node_end: &Link, bucket: Bucket, peers: &Peers) -> Self {
        Self {
            roots: vec![clsact(node_end.index)],
            inner: redirection(node_end.index, peers, &police(node_end, bucket)),
            niceties: Vec::new(),
        }
    }

    /// Both plans together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.roots.extend(other.roots);
        self.inner.extend(other.inner);
        self.niceties.extend(other.niceties);
        self
    }
}

/// The filters of one direction.
pub(crate) fn filters(peers: &Peers, direction: Direction, target: &Target) -> Vec<Filter> {
    let of = |packets: Match, target: &Target, priority| Filter {
        priority,
        packets,
        target: target.clone(),
    };
    let [ipv4, ipv6, all] = PRIORITIES;
    let of_subnet = |subnet: &IpNetwork, target: &Target| {
        let packets = match direction {
            Direction::Ingress => Match::source(*subnet),
            Direction::Egress => Match::destination(*subnet),
        };
        let priority = if packets.is_ipv6() { ipv6 } else { ipv4 };
        of(packets, target, priority)
    };
    // In `htb`, packets without a class bypass the limit.
    let pass = Target::Class(SHAPER);
    let (subnets, of_subnets, of_others) = match peers {
        Peers::All => (&[][..], target, Some(target)),
        Peers::In(subnets) => (&subnets[..], target, None),
        Peers::NotIn(subnets) => (&subnets[..], &pass, Some(target)),
    };
    let mut filters: Vec<Filter> = subnets
        .iter()
        .map(|subnet| of_subnet(subnet, of_subnets))
        .collect();
    // In the order in which the kernel lists them.
    filters.sort_by_key(|filter| filter.priority);
    filters.extend(of_others.map(|target| of(Match::all(), target, all)));
    filters
}

/// The policer. All filters of a link share its bucket, which a number identifies; the kernel
/// numbers others from 1.
pub(crate) fn police(node_end: &Link, bucket: Bucket) -> Target {
    let number = 1 << 31 | node_end.index;
    let bucket = Bucket::new(bucket.rate, bucket.burst().max(POLICE_BURST));
    Target::Police { number, bucket }
}

fn redirection(link: u32, peers: &Peers, target: &Target) -> Vec<TrafficChange> {
    let filters = filters(peers, Direction::Egress, target);
    add_filters(link, Handle::INCOMING, filters).collect()
}

fn add_filters(
    link: u32,
    parent: Handle,
    filters: Vec<Filter>,
) -> impl Iterator<Item = TrafficChange> {
    let filters = filters.into_iter();
    filters.map(move |filter| TrafficChange::AddFilter {
        link,
        parent,
        filter,
    })
}

fn root(link: u32, kind: QdiscKind) -> Root {
    let qdisc = Qdisc {
        handle: SHAPER,
        kind,
    };
    let parent = Handle::ROOT;
    Root {
        link,
        parent,
        qdisc,
    }
}

fn clsact(link: u32) -> Root {
    let qdisc = Qdisc {
        handle: Handle::OF_CLSACT,
        kind: QdiscKind::Clsact,
    };
    let parent = Handle::CLSACT;
    Root {
        link,
        parent,
        qdisc,
    }
}

/// The inner qdisc (`fq_codel`), which schedules and drops queued packets. Its target is at least
/// the time that one and a half packets take at this rate.
fn below(link: u32, bucket: Bucket, mtu: u32) -> TrafficChange {
    let one_packet = u64::from(mtu) * 1_500_000 / bucket.rate;
    let target = CODEL_TARGET.max(one_packet);
    let interval = CODEL_INTERVAL.max(target.saturating_mul(20));
    let microseconds = |time| u32::try_from(time).unwrap_or(u32::MAX);
    let kind = QdiscKind::FqCodel {
        target: microseconds(target),
        interval: microseconds(interval),
    };
    let parent = BELOW;
    TrafficChange::AddQdisc {
        link,
        parent,
        qdisc: Qdisc {
            handle: Handle(0),
            kind,
        },
    }
}
