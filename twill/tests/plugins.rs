//! The multi-call binary has every plugin of the workspace.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;
use testkit::{Invocation, binaries};

/// `cargo xtask dist` links the names of the directories in `plugins/` to the binary.
#[test]
fn each_directory_of_plugins_is_a_plugin_in_the_binary() {
    let bin = TempDir::with_prefix("twill-plugins-").unwrap();
    let unknown = bin.path().join("no-plugin");
    symlink(binaries::plugin("twill"), &unknown).unwrap();
    let failure = Invocation::new(&unknown, "VERSION").run().failure();
    let (_, names) = failure
        .msg
        .split_once("link or copy it to one of ")
        .unwrap();
    let (names, _) = names.split_once(", or correct").unwrap();
    let mut in_binary: Vec<&str> = names.split(", ").collect();
    in_binary.sort_unstable();

    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let crates = fs::read_dir(sources).unwrap().map(|entry| entry.unwrap());
    let crates = crates.filter(|entry| entry.path().join("Cargo.toml").is_file());
    let mut in_workspace: Vec<String> = crates
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    in_workspace.sort_unstable();
    assert_eq!(in_binary, in_workspace);
}
