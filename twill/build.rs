//! Has the linker give the binary a build ID, by which `cni_plugin::Bundle` recognises its copies.

#![allow(
    clippy::disallowed_methods,
    reason = "cargo passes a build script its settings in the environment"
)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    // Set if another linker than the usual C compiler is configured.
    let linker = std::env::var("RUSTC_LINKER").unwrap_or_default();
    let option = match linker.ends_with("ld") {
        true => "--build-id",
        false => "-Wl,--build-id",
    };
    println!("cargo::rustc-link-arg-bins={option}");
}
