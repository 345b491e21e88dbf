//! ARCHITECTURE.md starts with a map of the crates: its edges are those of the manifests.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The names of crates, each with the crates that it depends on. A plugin's package is called
/// `twill-<name>`, here `<name>`.
type Edges = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_map_in_the_documentation_has_the_edges_of_the_manifests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let manifests = manifests(&root);
    let map = map(&fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap());
    for (name, dependencies) in &manifests {
        // The binary depends on all plugins, and these two crates on none of the workspace.
        if ["twill", "child", "cni-types"].contains(&name.as_str()) {
            continue;
        }
        let drawn = map
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in the map"));
        let mut reached = BTreeSet::new();
        reach(name, &map, &mut reached);
        for dependency in dependencies {
            assert!(
                reached.contains(dependency),
                "{name} depends on {dependency}, which the map does not lead to"
            );
        }
        for dependency in drawn {
            assert!(
                dependencies.contains(dependency),
                "the map leads from {name} to {dependency}, on which it does not depend"
            );
        }
    }
    let unknown: Vec<_> = map
        .keys()
        .filter(|name| !manifests.contains_key(*name))
        .collect();
    assert!(
        unknown.is_empty(),
        "the map has {unknown:?}, which do not exist"
    );
}

/// Reads the lines `a, b ─▶ c, d` of the first block of text.
fn map(document: &str) -> Edges {
    let (_, block) = document.split_once("```text\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let names = |list: &str| -> BTreeSet<String> {
        let names = list
            .split(',')
            .map(|name| name.trim().trim_start_matches("plugins/"));
        names.map(str::to_owned).collect()
    };
    let mut edges = Edges::new();
    for (from, to) in block.lines().filter_map(|line| line.split_once("─▶")) {
        for name in names(from) {
            edges.insert(name, names(to));
        }
    }
    edges
}

/// Reads the section `[dependencies]` of each crate that is not a tool.
fn manifests(root: &Path) -> Edges {
    let mut directories = vec![root.join("twill")];
    for parent in ["crates", "plugins"] {
        let entries = fs::read_dir(root.join(parent)).unwrap();
        directories.extend(entries.map(|entry| entry.unwrap().path()));
    }
    let mut all = Edges::new();
    for directory in directories {
        let Ok(manifest) = fs::read_to_string(directory.join("Cargo.toml")) else {
            continue;
        };
        let name = directory.file_name().unwrap().to_str().unwrap();
        let sections = manifest.split("\n[");
        let dependencies = sections.filter_map(|section| section.strip_prefix("dependencies]\n"));
        let keys = dependencies.flat_map(str::lines).map(|line| {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            line.split_at(end).0.trim_start_matches("twill-").to_owned()
        });
        all.insert(name.to_owned(), keys.collect());
    }
    let names: BTreeSet<String> = all.keys().cloned().collect();
    for dependencies in all.values_mut() {
        dependencies.retain(|dependency| names.contains(dependency));
    }
    all
}

fn reach(name: &str, map: &Edges, reached: &mut BTreeSet<String>) {
    for next in map.get(name).into_iter().flatten() {
        if reached.insert(next.clone()) {
            reach(next, map, reached);
        }
    }
}
