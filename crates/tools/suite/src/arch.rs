//! Other architectures: the product compiles for all, and what is on disk is the same on three of
//! them: one of 32 bits, one of 64, and the big-endian one.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use xtask::architecture::{ALL, Toolchain};
use xtask::command::{self, Show};
use xtask::packages;

use super::setting::{Setting, Skipped};

/// Those on which tests run, by emulation.
const TESTED: [&str; 3] = ["x86", "aarch64", "s390x"];

/// The crates whose unit tests run, and which of these: all, or those of formats and arithmetic.
/// The others would take minutes by emulation.
const TESTS: [(&[&str], &[&str]); 2] = [
    (&["--package=cni-types", "--package=state"], &[]),
    (
        &["--package=allocator"],
        &["platform", "page::", "keys::", "range", "allocate::"],
    ),
];

pub(super) fn run(setting: &Setting) -> Result<String> {
    let (mut toolchains, mut names) = (Vec::new(), Vec::new());
    let (mut emulated, mut skipped) = (Vec::new(), Vec::new());
    // The part `dist` compiles for the machine's own.
    for architecture in ALL.iter().filter(|it| !it.is_own()) {
        let (name, emulator) = (architecture.name, architecture.emulator);
        let toolchain = match architecture.toolchain() {
            Ok(toolchain) => toolchain,
            Err(error) => {
                skipped.push(format!("{name}: {error:#}"));
                continue;
            }
        };
        if TESTED.contains(&name) {
            match packages::find(emulator) {
                Some(path) => emulated.push((toolchain.clone(), path)),
                None => skipped.push(format!(
                    "tests on {name}: needs {emulator} (Debian package qemu-user)"
                )),
            }
        }
        toolchains.push(toolchain);
        names.push(name);
    }
    ensure!(!names.is_empty(), Skipped(skipped.join("; ")));
    check(setting, &toolchains)?;
    test(setting, &emulated)?;
    let mut about = format!("compiles for {}", names.join(", "));
    if !skipped.is_empty() {
        about.push_str(&format!("; SKIPPED: {}", skipped.join("; ")));
    }
    Ok(about)
}

/// Compiles the product for all architectures in one go, so that cargo builds once what runs on
/// this machine, and keeps all processors busy.
fn check(setting: &Setting, toolchains: &[Toolchain]) -> Result<()> {
    let mut cargo = setting.cargo("check", &["--package", "twill"]);
    for toolchain in toolchains {
        toolchain.use_in(&mut cargo);
    }
    command::run(cargo, Show::IfItFails)
}

/// Runs the unit tests on some architectures, each with the path of its emulator.
fn test(setting: &Setting, emulated: &[(Toolchain, PathBuf)]) -> Result<()> {
    if emulated.is_empty() {
        return Ok(());
    }
    for (packages, filters) in TESTS {
        let mut cargo = setting.cargo("test", &[&["--quiet", "--lib"], packages].concat());
        for (toolchain, emulator) in emulated {
            toolchain.use_in(&mut cargo);
            toolchain.emulate_in(&mut cargo, &emulator.to_string_lossy());
        }
        cargo
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .env("TMPDIR", &setting.temporary)
            .env("PROPTEST_CASES", "16")
            .arg("--")
            .args(filters);
        command::run(cargo, Show::IfItFails)?;
    }
    Ok(())
}
