//! Kernel settings that containers need to be reached.

use super::{Facts, Fault, Repair};

const IPV4: &str = "net/ipv4/ip_forward";
const IPV6: &str = "net/ipv6/conf/all/forwarding";
const BRIDGE_NF: &str = "net/bridge/bridge-nf-call-iptables";
const RP_FILTER: &str = "net/ipv4/conf/all/rp_filter";

/// The settings that are read.
pub(super) const NAMES: [&str; 4] = [IPV4, IPV6, BRIDGE_NF, RP_FILTER];

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let is_off = |name| facts.host.setting(name) == Some("0");
    let mut faults = Vec::new();
    for (is_ipv4, forwarding) in [(true, IPV4), (false, IPV6)] {
        if is_routed(facts, is_ipv4) && is_off(forwarding) {
            faults.push(off(
                forwarding,
                "the node drops what containers send to other nodes, and what comes back",
            ));
        }
    }
    if !is_routed(facts, true) {
        return faults;
    }
    // The setting is missing if its module is not loaded; then no kube-proxy needs it.
    if is_off(BRIDGE_NF) {
        faults.push(off(
            BRIDGE_NF,
            "kube-proxy and network policies do not see packets between containers of the bridge: \
             services that lead back to the same node do not answer",
        ));
    }
    faults.extend(strict_rp_filter(facts));
    faults
}

/// Whether the node routes packets of containers: those of a network with a bridge, by a list in
/// use. The packets of an ipvlan or a macvlan leave by its master.
fn is_routed(facts: &Facts, is_ipv4: bool) -> bool {
    let networks = facts.node.networks.iter();
    let bridged = networks.filter(|network| network.list.is_some() && network.bridge().is_some());
    let sets = bridged.filter_map(|network| network.ranges.as_ref().ok()?.as_ref());
    let mut sets = sets.flat_map(|sets| sets.iter());
    sets.any(|set| set.is_ipv4() == is_ipv4)
}

fn off(name: &'static str, effect: &'static str) -> Fault {
    Fault {
        kind: "sysctl",
        subject: name.to_owned(),
        evidence: "it is 0".to_owned(),
        effect,
        command: format!(
            "twill repair sysctl --apply, or: sysctl -w {}=1",
            name.replace('/', ".")
        ),
        repair: Some(Repair::SetSysctl { name, value: "1" }),
    }
}

fn strict_rp_filter(facts: &Facts) -> Option<Fault> {
    let lease_file = facts.node.lease_file.as_ref();
    let plugins_masquerade = lease_file.is_ok_and(|it| !it.lease.ip_masq());
    (plugins_masquerade && facts.host.setting(RP_FILTER) == Some("1")).then(|| Fault {
        kind: "sysctl",
        subject: RP_FILTER.to_owned(),
        evidence: "it is 1 (strict)".to_owned(),
        effect: "the node drops packets of other nodes' containers that come in by another link \
                 than answers would go out by",
        command: "sysctl -w net.ipv4.conf.all.rp_filter=2, if nodes have several links".to_owned(),
        repair: None,
    })
}
