//! Dependencies have the licences and sources that deny.toml allows.
//!
//! cargo-deny checks that too, and advisories, but takes minutes to compile; where it is installed,
//! it runs here.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The only source besides the workspace.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// The packages that a build on Linux may have.
fn packages() -> Vec<Value> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--format-version=1", "--locked"]);
    cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// The licences in `allow` of deny.toml.
fn allowed_licences() -> BTreeSet<String> {
    let settings = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let (_, licences) = settings.split_once("[licenses]\nallow = [").unwrap();
    let (licences, _) = licences.split_once(']').unwrap();
    licences
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The licences of an expression of SPDX that suffice, or `None` if the allowed ones do not. Old
/// manifests write `/` for `OR`. Parentheses only group alternatives: what they hold otherwise is
/// the name of no licence.
fn chosen(expression: &str, allowed: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let expression = expression.replace('/', " OR ");
    let parts = expression.split(" AND ").map(|part| {
        let alternatives = part.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
        let mut alternatives = alternatives.unwrap_or(part).split(" OR ");
        alternatives
            .find(|it| allowed.contains(*it))
            .map(str::to_owned)
    });
    parts.collect()
}

#[test]
fn licences_and_sources_are_allowed() {
    let (packages, allowed) = (packages(), allowed_licences());
    assert!(packages.len() > 50, "{}", packages.len());
    let mut used = BTreeSet::new();
    for package in &packages {
        let name = &package["name"];
        let licence = package["license"].as_str();
        let licence = licence.unwrap_or_else(|| panic!("{name} has no licence"));
        let chosen = chosen(licence, &allowed);
        used.extend(chosen.unwrap_or_else(|| panic!("{name} has the licence {licence}")));
        match package["source"].as_str() {
            Some(source) => assert_eq!(source, CRATES_IO, "{name}"),
            None => {
                for dependency in package["dependencies"].as_array().unwrap() {
                    let is_own = dependency["path"].is_string();
                    assert!(is_own || dependency["req"] != "*", "{name}: {dependency}");
                }
            }
        }
    }
    assert_eq!(used, allowed, "deny.toml allows what nothing needs");
}

#[test]
fn an_expression_is_read_as_spdx_has_it() {
    let allowed = ["Apache-2.0 WITH LLVM-exception", "MIT", "Unicode-3.0"];
    let allowed = allowed.map(str::to_owned).into();
    for (expression, licences) in [
        ("MIT", Some(&["MIT"][..])),
        ("Apache-2.0", None),
        ("Apache-2.0 OR MIT", Some(&["MIT"])),
        ("Unlicense/MIT", Some(&["MIT"])),
        (
            "Apache-2.0 WITH LLVM-exception OR MIT",
            Some(&["Apache-2.0 WITH LLVM-exception"]),
        ),
        (
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            Some(&["MIT", "Unicode-3.0"]),
        ),
        ("(MIT OR Apache-2.0) AND OpenSSL", None),
    ] {
        let expected = licences.map(|it| it.iter().map(|it| (*it).to_owned()).collect());
        assert_eq!(chosen(expression, &allowed), expected, "{expression}");
    }
}

/// Without a network for the advisories.
#[test]
fn cargo_deny_agrees_where_it_is_installed() {
    let cargo_deny = |arguments: &[&str]| {
        let mut cargo = Command::new("cargo");
        cargo
            .arg("deny")
            .args(arguments)
            .current_dir(root())
            .output()
    };
    if cargo_deny(&["--version"]).is_ok_and(|output| output.status.success()) {
        let output = cargo_deny(&["--offline", "check", "bans", "licenses", "sources"]).unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}");
    }
}
