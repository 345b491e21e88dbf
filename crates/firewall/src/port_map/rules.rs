//! The chains and the rules of the tables.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use nix::libc;

use crate::expression::{
    Expression, Header, PacketField, Register, Verdict, add_to, is, is_in, is_not, is_not_in, load,
    load_at, load_first_destination, load_input_name, load_protocol_at, load_type_of_destination,
    map_by, mask, masquerade, send_to_loaded, verdict,
};
use crate::layout::{NAME_LENGTH, octets};
use crate::port_map::Token;
use crate::rule::Rule;
use crate::schema::{Chain, ChainRules};
use crate::table::{Set, SetKind, Table};

/// After kube-proxy's rules, which have the priority `dstnat`: once one of these has applied DNAT,
/// the kernel runs no further nat chain for the connection (CVE-2019-9946).
const PRIORITY: i32 = libc::NF_IP_PRI_NAT_DST + 1;

/// Drops packets for loopback addresses that arrive on another link than `lo`. Without
/// `route_localnet`, the kernel would do so itself (CVE-2020-8558). Reply packets to the node are
/// not yet de-NATed at this hook, so they do not match.
const GUARD: Chain = Chain {
    name: "guard",
    chain_type: "filter",
    hook: libc::NF_INET_PRE_ROUTING,
    priority: libc::NF_IP_PRI_RAW,
};

const PREROUTING: Chain = Chain {
    name: "prerouting",
    chain_type: "nat",
    hook: libc::NF_INET_PRE_ROUTING,
    priority: PRIORITY,
};

const OUTPUT: Chain = Chain {
    name: "output",
    chain_type: "nat",
    hook: libc::NF_INET_LOCAL_OUT,
    priority: PRIORITY,
};

const POSTROUTING: Chain = Chain {
    name: "postrouting",
    chain_type: "nat",
    hook: libc::NF_INET_POST_ROUTING,
    priority: libc::NF_IP_PRI_NAT_SRC,
};

/// The chains for IPv4.
pub(crate) const CHAINS4: &[Chain] = &[PREROUTING, OUTPUT, POSTROUTING, GUARD];

/// The chains for IPv6, whose kernel forwards nothing for its loopback address anyway.
pub(crate) const CHAINS6: &[Chain] = &[PREROUTING, OUTPUT, POSTROUTING];

/// The rules of the chains, including those for these sets.
pub(crate) fn rules(table: Table, sets: &BTreeSet<Set>) -> Vec<ChainRules> {
    let of_chain = |chain: &'static Chain| match chain.hook {
        libc::NF_INET_POST_ROUTING => postrouting(chain, table, sets),
        _ if chain.name == GUARD.name => guard(chain, table),
        _ => destinations(chain, table, sets),
    };
    table.chains().iter().map(of_chain).collect()
}

fn guard(chain: &'static Chain, table: Table) -> ChainRules {
    let mut lo = b"lo".to_vec();
    lo.resize(NAME_LENGTH, 0);
    let drop = vec![
        load_input_name(),
        is_not(&lo),
        load(table.destination()),
        mask(&[255, 0, 0, 0]),
        is(&[127, 0, 0, 0]),
        verdict(Verdict::Drop),
    ];
    ChainRules {
        chain,
        first: rules_of([drop]),
        of_sets: Vec::new(),
        last: Vec::new(),
    }
}

/// The DNAT rules.
fn destinations(chain: &'static Chain, table: Table, sets: &BTreeSet<Set>) -> ChainRules {
    /// `RTN_LOCAL`, the type of an address of the node.
    const LOCAL: u32 = libc::RTN_LOCAL as u32;
    let mut first = vec![vec![
        load_type_of_destination(),
        is_not(&LOCAL.to_ne_bytes()),
        verdict(Verdict::Return),
    ]];
    if table.is_ipv6() {
        // The kernel never routes from `::1` to another interface, so the client would get no
        // reply.
        first.push(vec![
            load(table.destination()),
            is(&Ipv6Addr::LOCALHOST.octets()),
            verdict(Verdict::Return),
        ]);
    }
    if sets.contains(&table.set(SetKind::Node)) {
        first.push(vec![
            load(table.destination()),
            is_not_in(&SetKind::Node.name()),
            verdict(Verdict::Return),
        ]);
    }
    first.push(vec![
        load(table.destination()),
        add_to(&SetKind::Local.name()),
    ]);
    let mut of_sets = Vec::new();
    for set in sets {
        let SetKind::Conditions(conditions) = set.kind else {
            continue;
        };
        let token = Some(conditions.token());
        for start in conditions.expressions(table) {
            let ends = [by_address(table, token), by_port(table, token)];
            of_sets.extend(ends.map(|end| [start.clone(), end].concat()));
        }
    }
    ChainRules {
        chain,
        first: rules_of(first),
        of_sets: rules_of(of_sets),
        last: rules_of([by_address(table, None), by_port(table, None)]),
    }
}

fn by_address(table: Table, token: Option<Token>) -> Vec<Expression> {
    let behind = if table.is_ipv6() { 4 } else { 1 };
    vec![
        load(table.destination()),
        load_protocol_at(Register(behind)),
        load_at(Register(behind + 1), DESTINATION_PORT),
        map_by(&SetKind::Addresses(token).name()),
        send_to_loaded(table.is_ipv6()),
    ]
}

fn by_port(table: Table, token: Option<Token>) -> Vec<Expression> {
    vec![
        load_protocol_at(Register(0)),
        load_at(Register(1), DESTINATION_PORT),
        map_by(&SetKind::HostPorts(token).name()),
        send_to_loaded(table.is_ipv6()),
    ]
}

/// The same offset for TCP, UDP and SCTP.
const DESTINATION_PORT: PacketField = PacketField {
    header: Header::Transport,
    offset: 2,
    length: 2,
};

/// The SNAT rules. They apply only to connections whose original destination is an address of the
/// node. A connection to a service keeps its source.
fn postrouting(chain: &'static Chain, table: Table, sets: &BTreeSet<Set>) -> ChainRules {
    let is_for_node = || {
        vec![
            load_first_destination(table.is_ipv6()),
            is_in(&SetKind::Local.name()),
        ]
    };
    let behind = if table.is_ipv6() { 4 } else { 1 };
    let mut hairpins = is_for_node();
    hairpins.extend([
        load(table.source()),
        load_at(Register(behind), table.destination()),
        is_in(&SetKind::Hairpins.name()),
        masquerade(),
    ]);
    let mut to_all = is_for_node();
    to_all.extend([
        load(table.destination()),
        is_in(&SetKind::ToAll.name()),
        masquerade(),
    ]);
    let mut of_sets = Vec::new();
    for set in sets {
        let SetKind::ToNetwork(network) = set.kind else {
            continue;
        };
        let mut within = is_for_node();
        within.extend([
            load(table.source()),
            mask(&octets(network.mask())),
            is(&octets(network.network())),
            load(table.destination()),
            is_in(&set.kind.name()),
            masquerade(),
        ]);
        of_sets.push(within);
    }
    ChainRules {
        chain,
        first: rules_of([hairpins, to_all]),
        of_sets: rules_of(of_sets),
        last: Vec::new(),
    }
}

fn rules_of(rules: impl IntoIterator<Item = Vec<Expression>>) -> Vec<Rule> {
    let rule = |expressions| Rule { expressions };
    rules.into_iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port_map::Conditions;

    #[test]
    fn each_rule_of_a_chain_does_something_else() {
        for table in Table::PORT_MAP {
            let (word, network) = match table {
                Table::PortMap6 => ("ip6", "fd00:1::/64"),
                _ => ("ip", "10.1.0.0/16"),
            };
            let words = format!("{word} saddr != {network} iifname {{ a, b }}");
            let conditions = Conditions::parse(&[words], table.is_ipv6());
            let kinds = [
                SetKind::Node,
                SetKind::Conditions(conditions.unwrap().unwrap()),
                SetKind::ToNetwork(network.parse().unwrap()),
            ];
            let sets: BTreeSet<_> = kinds.map(|kind| table.set(kind)).into();
            for rules in rules(table, &sets) {
                let meanings: Option<Vec<_>> = rules.all().map(Rule::meaning).collect();
                let meanings = meanings.unwrap();
                for (position, meaning) in meanings.iter().enumerate() {
                    let first = meanings.iter().position(|other| other == meaning);
                    assert_eq!(first, Some(position), "{}", rules.chain.name);
                }
            }
        }
    }
}
