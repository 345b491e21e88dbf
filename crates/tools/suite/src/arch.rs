//! Other architectures: the product compiles for all, and what is on disk is the same on three of
//! them: one of 32 bits, one of 64, and the big-endian one.

use anyhow::Result;
use xtask::architecture::{ALL, Architecture};
use xtask::command::{self, Show};
use xtask::packages::Needed;
use xtask::platform::Platform;

use super::setting::{Setting, Skipped};

/// Those on which tests run, by emulation.
const TESTED: [&str; 3] = ["x86", "aarch64", "s390x"];

/// What runs and links the tests. To compile the product for an architecture takes no linker.
pub(super) const NEEDED: &[Needed] = &[
    ("qemu-i386", "qemu-user"),
    ("s390x-linux-gnu-gcc", "gcc-s390x-linux-gnu"),
    ("/usr/s390x-linux-gnu/lib/libc.a", "libc6-dev-s390x-cross"),
];

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
    // The part `dist` compiles for the machine's own.
    let others: Vec<_> = ALL.iter().filter(|it| !it.is_own()).collect();
    let platforms = others.iter().map(|it| it.platform());
    let platforms: Result<Vec<_>> = platforms.collect();
    let platforms = platforms.map_err(|error| Skipped(format!("{error:#}")))?;
    check(setting, &platforms)?;
    let is_tested = |it: &&&Architecture| TESTED.contains(&it.name);
    let tested: Vec<_> = others.iter().filter(is_tested).copied().collect();
    test(setting, &tested)?;
    Ok(format!(
        "compiles for {}; tests on {}",
        names(&others),
        names(&tested)
    ))
}

fn names(architectures: &[&Architecture]) -> String {
    let names: Vec<_> = architectures.iter().map(|it| it.name).collect();
    names.join(", ")
}

/// Compiles the product for all architectures in one go, so that cargo builds once what runs on
/// this machine, and keeps all processors busy.
fn check(setting: &Setting, platforms: &[Platform]) -> Result<()> {
    let mut cargo = setting.cargo("check", &["--package", "twill"]);
    for platform in platforms {
        cargo.args(["--target", platform.triple()]);
    }
    command::run(cargo, Show::IfItFails)
}

/// Runs the unit tests on some architectures, by emulation.
fn test(setting: &Setting, architectures: &[&Architecture]) -> Result<()> {
    for (packages, filters) in TESTS {
        let mut cargo = setting.cargo("test", &[&["--quiet", "--lib"], packages].concat());
        for architecture in architectures {
            let toolchain = architecture.toolchain()?;
            toolchain.use_in(&mut cargo);
            toolchain.emulate_in(&mut cargo, architecture.emulator);
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
