//! The network configurations.

use super::{Facts, Fault};

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let node = &facts.node;
    if node.list_in_use().is_some() {
        return Vec::new();
    }
    let dirs = node.paths.conf_dirs.iter();
    let dirs: Vec<String> = dirs.map(|dir| dir.display().to_string()).collect();
    let files = node.lists.iter();
    let files: Vec<String> = files.map(|file| file.path.display().to_string()).collect();
    vec![Fault {
        kind: "no-list",
        subject: dirs.join(", "),
        evidence: "no file in it is a network configuration that can be used".to_owned(),
        effect: "the runtime reports that its CNI plugin is not initialized, and starts no pod",
        command: match files.is_empty() {
            true => "twill install --conflist, or the configuration of your network".to_owned(),
            false => format!("correct or move away {}", files.join(", ")),
        },
        repair: None,
    }]
}
