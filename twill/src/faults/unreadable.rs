//! Parts of the node that cannot be read.

use node::Problem;

use super::{Facts, Fault};

/// What makes a part readable.
pub(super) fn remedy(facts: &Facts) -> &'static str {
    match facts.host.is_root {
        true => "repair, move away or end what the evidence names",
        false => "run it as root",
    }
}

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let node = &facts.node;
    let mut faults = Vec::new();
    let mut add = |subject: String, problem: Option<&Problem>| {
        faults.extend(problem.map(|problem| Fault {
            kind: "unreadable",
            subject,
            evidence: problem.to_string(),
            effect: "it is not examined; unless all leases, links and namespaces can be read, \
                     nothing counts as dead",
            command: remedy(facts).to_owned(),
            repair: None,
        }));
    };
    let text = |text: &str| text.to_owned();
    for file in node.lists.iter() {
        add(file.path.display().to_string(), file.list.as_ref().err());
    }
    for kept in &node.kept {
        add(
            kept.data_dir.display().to_string(),
            kept.files.as_ref().err(),
        );
    }
    add(
        text("the runtime's cached results"),
        node.cached.as_ref().err(),
    );
    add(text("the node's links"), node.links.as_ref().err());
    add(text("network namespaces"), node.namespaces.as_ref().err());
    for problem in node.namespaces.iter().flat_map(|it| it.problems()) {
        add(text("a network namespace"), Some(problem));
    }
    add(text("the tables of nftables"), node.firewall.as_ref().err());
    for network in &node.networks {
        let subject = format!("network {}", network.name);
        add(subject.clone(), network.conf.as_ref().err());
        add(subject, network.ranges.as_ref().err());
    }
    faults
}
