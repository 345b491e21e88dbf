//! Other architectures: the product compiles for all, and what is on disk is the same on three of
//! them: one of 32 bits, one of 64, and the big-endian one.

use anyhow::{Result, ensure};
use xtask::architecture::{ALL, Architecture, Toolchain};
use xtask::command::{self, Show};
use xtask::packages;

use super::setting::{Setting, Skipped};

/// Those on which tests run, by emulation.
const TESTED: [&str; 3] = ["x86", "aarch64", "s390x"];

/// The crates whose tests run, and which of these: all, or what is about formats and arithmetic.
/// The others would take minutes by emulation.
const TESTS: [(&str, &[&str]); 3] = [
    ("cni-types", &[]),
    ("state", &[]),
    (
        "allocator",
        &["platform", "page::", "keys::", "range", "allocate::"],
    ),
];

pub(super) fn run(setting: &Setting) -> Result<String> {
    let (mut done, mut skipped) = (Vec::new(), Vec::new());
    for architecture in &ALL {
        match architecture.toolchain() {
            Ok(toolchain) => {
                check(setting, &toolchain)?;
                done.push(architecture.name);
                if TESTED.contains(&architecture.name)
                    && let Err(Skipped(reason)) = test(setting, architecture, &toolchain)?
                {
                    skipped.push(format!("tests on {}: {reason}", architecture.name));
                }
            }
            Err(error) => skipped.push(format!("{}: {error:#}", architecture.name)),
        }
    }
    ensure!(done.len() > 1, Skipped(skipped.join("; ")));
    let mut about = format!("compiles for {}", done.join(", "));
    if !skipped.is_empty() {
        about.push_str(&format!("; SKIPPED: {}", skipped.join("; ")));
    }
    Ok(about)
}

fn check(setting: &Setting, toolchain: &Toolchain) -> Result<()> {
    let mut cargo = setting.workspace.cargo(&["check", "--package", "twill"]);
    toolchain.use_in(&mut cargo);
    command::run(cargo, Show::IfItFails)
}

/// Runs the unit tests, or says what they need.
fn test(
    setting: &Setting,
    architecture: &Architecture,
    toolchain: &Toolchain,
) -> Result<Result<(), Skipped>> {
    let Some(emulator) = packages::find(architecture.emulator) else {
        let emulator = architecture.emulator;
        let reason = format!("needs {emulator} (Debian package qemu-user)");
        return Ok(Err(Skipped(reason)));
    };
    for (package, filters) in TESTS {
        let words = ["test", "--quiet", "--lib", "--package", package];
        let mut cargo = setting.workspace.cargo(&words);
        toolchain.use_in(&mut cargo);
        toolchain.emulate_in(&mut cargo, &emulator.to_string_lossy());
        cargo
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .env("TMPDIR", &setting.temporary)
            .env("PROPTEST_CASES", "16")
            .arg("--")
            .args(filters);
        command::run(cargo, Show::IfItFails)?;
    }
    Ok(Ok(()))
}
