//! The parts that a node still lacks beside the plugins.

use std::fs;
use std::path::{Path, PathBuf};

use super::network_list;

/// The lease, as flanneld writes it.
const LEASE: &str = "/run/flannel/subnet.env";

/// The missing parts of this node, one sentence for each: a network list, the plugins that it
/// names, the lease.
pub(super) fn of_node(lists: &Path, plugin_dirs: &[PathBuf]) -> Vec<String> {
    let mut needs = Vec::new();
    let files = network_list::all(lists).unwrap_or_default();
    if files.is_empty() {
        needs.push(format!(
            "a network list in {}: `twill install --conflist` writes kube-flannel's",
            lists.display()
        ));
    }
    let has = |name: &str| plugin_dirs.iter().any(|dir| dir.join(name).exists());
    let mut has_flannel = files.is_empty();
    for file in files {
        let types = network_list::plugin_types(&fs::read_to_string(&file).unwrap_or_default());
        has_flannel |= types.iter().any(|name| name == "flannel");
        let missing: Vec<&str> = types
            .iter()
            .map(String::as_str)
            .filter(|name| !has(name))
            .collect();
        if !missing.is_empty() {
            needs.push(format!(
                "{} for {}: they are not in the directories above; the Go plugins have them",
                missing.join(", "),
                file.display()
            ));
        }
    }
    if has_flannel && !Path::new(LEASE).exists() {
        needs.push(format!("flanneld, which has not written {LEASE} yet"));
    }
    needs
}
