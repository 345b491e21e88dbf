//! Kernel settings that containers need to be reached.

use super::{Facts, Fault, Repair};

const IPV4: &str = "net/ipv4/ip_forward";
const IPV6: &str = "net/ipv6/conf/all/forwarding";
const BRIDGE_NF: &str = "net/bridge/bridge-nf-call-iptables";
const RP_FILTER: &str = "net/ipv4/conf/all/rp_filter";

/// The settings that are read.
pub(super) const NAMES: [&str; 4] = [IPV4, IPV6, BRIDGE_NF, RP_FILTER];

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut off = |name: &'static str, effect| {
        faults.push(Fault {
            kind: "sysctl",
            subject: name.to_owned(),
            evidence: "it is 0".to_owned(),
            effect,
            command: format!(
                "twill repair sysctl --apply, or: sysctl -w {}=1",
                name.replace('/', ".")
            ),
            repair: Some(Repair::SetSysctl { name, value: "1" }),
        });
    };
    let host = &facts.host;
    let is_off = |name| host.setting(name) == Some("0");
    let has = |is_ipv4: bool| {
        let networks = facts
            .node
            .networks
            .iter()
            .filter(|network| network.list.is_some());
        let sets = networks.filter_map(|network| network.ranges.as_ref().ok()?.as_ref());
        let mut sets = sets.flat_map(|sets| sets.iter());
        sets.any(|set| set.is_ipv4() == is_ipv4)
    };
    let effect = "the node drops what containers send to other nodes, and what comes back";
    if has(true) && is_off(IPV4) {
        off(IPV4, effect);
    }
    if has(false) && is_off(IPV6) {
        off(IPV6, effect);
    }
    // The setting is missing if its module is not loaded; then no kube-proxy needs it.
    if has(true) && is_off(BRIDGE_NF) {
        off(
            BRIDGE_NF,
            "kube-proxy and network policies do not see packets between containers of the bridge: \
             services that lead back to the same node do not answer",
        );
    }
    if has(true) && host.setting(RP_FILTER) == Some("1") {
        let is_strict_needed = facts
            .node
            .lease_file
            .as_ref()
            .is_ok_and(|it| !it.lease.ip_masq());
        if is_strict_needed {
            faults.push(Fault {
                kind: "sysctl",
                subject: RP_FILTER.to_owned(),
                evidence: "it is 1 (strict)".to_owned(),
                effect: "the node drops packets of other nodes' containers that come in by another \
                         link than answers would go out by",
                command: "sysctl -w net.ipv4.conf.all.rp_filter=2, if nodes have several links"
                    .to_owned(),
                repair: None,
            });
        }
    }
    faults
}
