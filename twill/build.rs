//! Has the linker give the binary a build ID, by which `cni_plugin::Bundle` recognises its copies,
//! and leave out the tables for unwinding: a panic of the release ends the process.

#![allow(
    clippy::disallowed_methods,
    reason = "cargo passes a build script its settings in the environment"
)]

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=without-unwinding.ld");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let linker = setting("RUSTC_LINKER");
    let linker = if linker.is_empty() { "cc" } else { &linker };
    // A C compiler passes options on.
    let prefix = if linker.ends_with("ld") { "" } else { "-Wl," };
    let link_with = |option: &str| println!("cargo::rustc-link-arg-bins={prefix}{option}");
    link_with("--build-id");
    if setting("PROFILE") != "release" {
        return;
    }
    // `no_backtrace` defines a function that libunwind defines beside others.
    link_with("--allow-multiple-definition");
    if reads_scripts(linker, prefix) {
        link_with("--no-eh-frame-hdr");
        let directory = setting("CARGO_MANIFEST_DIR");
        link_with(&format!("--script={directory}/without-unwinding.ld"));
    }
}

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Whether a linker reads linker scripts, as GNU ld and LLD do; mold does not.
fn reads_scripts(linker: &str, prefix: &str) -> bool {
    // Under this name the program needs another argument first.
    if linker.ends_with("rust-lld") {
        return true;
    }
    let version = Command::new(linker)
        .arg(format!("{prefix}--version"))
        .output();
    version.is_ok_and(|version| {
        let version = String::from_utf8_lossy(&version.stdout);
        version.starts_with("GNU ld") || version.contains("LLD")
    })
}
