//! The parts that a node still lacks beside the plugins.

use std::fs;
use std::path::{Path, PathBuf};

use conflist::files::{self, Listed};

use super::network_list;
use super::selection::Selection;

/// The lease, as flanneld writes it.
const LEASE: &str = "/run/flannel/subnet.env";

/// The missing parts of this node, one sentence for each: a network list, the plugins that it
/// names, the lease.
pub(super) fn of_node(
    lists: &[PathBuf],
    plugin_dirs: &[PathBuf],
    selection: &Selection,
) -> Vec<String> {
    let mut needs = Vec::new();
    let listed = lists
        .iter()
        .flat_map(|dir| files::all(dir).unwrap_or_default());
    let listed: Vec<_> = listed.collect();
    if listed.is_empty() {
        let lists = lists.iter().map(|dir| dir.display().to_string());
        needs.push(format!(
            "a network list in {}: `twill install --conflist` writes kube-flannel's",
            lists.collect::<Vec<_>>().join(" or ")
        ));
    }
    let will_have = |name: &str| selection.names().any(|it| it == name);
    let has = |name: &str| will_have(name) || plugin_dirs.iter().any(|dir| dir.join(name).exists());
    let mut has_flannel = listed.is_empty();
    for Listed { path: file, list } in listed {
        let types = network_list::plugin_types(&fs::read_to_string(&file).unwrap_or_default());
        if let Err(error) = list
            && types.is_empty()
        {
            needs.push(format!("a network list that can be used: {error}"));
        }
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
