//! The network configurations.

use super::{Facts, Fault};

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let node = &facts.node;
    if node.list_in_use().is_some() {
        return Vec::new();
    }
    vec![Fault {
        kind: "no-list",
        subject: node.paths.conf_dir.display().to_string(),
        evidence: "no file in it is a network configuration that can be used".to_owned(),
        effect: "the runtime reports that its CNI plugin is not initialized, and starts no pod",
        command: "twill install --conflist, or the configuration of your network".to_owned(),
        repair: None,
    }]
}
