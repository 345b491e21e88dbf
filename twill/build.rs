//! Has the linker give the binary a build ID, by which `cni_plugin::Bundle` recognises its copies,
//! and leave out the tables for unwinding: a panic of the release ends
//! the process.

#![allow(
    clippy::disallowed_methods,
    reason = "cargo passes a build script its settings in the environment"
)]

fn main() {
    let setting = |name| std::env::var(name).unwrap_or_default();
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=without-unwinding.ld");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let mut options = vec!["--build-id".to_owned()];
    if setting("PROFILE") == "release" {
        let script = format!("{}/without-unwinding.ld", setting("CARGO_MANIFEST_DIR"));
        options.extend(["--no-eh-frame-hdr".to_owned(), format!("--script={script}")]);
    }
    // Set if another linker than the usual C compiler is configured.
    let is_compiler = !setting("RUSTC_LINKER").ends_with("ld");
    for option in options {
        let option = match is_compiler {
            true => format!("-Wl,{option}"),
            false => option,
        };
        println!("cargo::rustc-link-arg-bins={option}");
    }
}
