//! flanneld's lease.

use super::{Facts, Fault};

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    // No lease is needed if no list has flannel.
    let lists = facts.node.lists.iter();
    let mut lists = lists.filter_map(|file| file.list.as_ref().ok());
    if !lists.any(|list| node::plugin_of(list, "flannel").is_some()) {
        return Vec::new();
    }
    match &facts.node.lease_file {
        Err(problem) => vec![Fault {
            kind: "lease-file",
            subject: "flanneld's lease".to_owned(),
            evidence: problem.to_string(),
            effect: "no container can be added",
            command: "start flanneld, and look at its log: it writes the file".to_owned(),
            repair: None,
        }],
        Ok(lease) => match (lease.written, facts.host.flanneld_since) {
            (Some(written), Some(since)) if written < since => vec![Fault {
                kind: "old-lease-file",
                subject: lease.path.display().to_string(),
                evidence: "flanneld was started after the file was written".to_owned(),
                effect: "containers get addresses of a lease that may be another node's by now",
                command: "look at flanneld's log: it writes the file at its start".to_owned(),
                repair: None,
            }],
            _ => Vec::new(),
        },
    }
}
