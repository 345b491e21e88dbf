//! The parts of a test run: what each checks, and how.

use anyhow::{Result, ensure};
use xtask::command::{self, Show};
use xtask::dist;
use xtask::packages::{self, Needed};

use super::binaries::Binaries;
use super::setting::{Setting, Skipped};
use super::{arch, distributions, libtest, podman, tidy, vm, width};

/// A part of a test run.
pub(crate) struct Part {
    /// The name on the command line and in the summary.
    pub(crate) name: &'static str,
    about: &'static str,
    /// The parts whose work it uses.
    pub(super) needs: &'static [&'static str],
    /// What it needs besides [`packages::NEEDED`].
    pub(super) packages: &'static [Needed],
    run: fn(&Setting) -> Result<String>,
}

impl Part {
    const fn with(self, packages: &'static [Needed]) -> Self {
        Self { packages, ..self }
    }

    /// Runs it; what there is to say of it then, or why it fails or is skipped ([`Skipped`]).
    pub(super) fn run(&self, setting: &Setting) -> Result<String> {
        let missing = packages::missing(self.packages).join(" ");
        ensure!(
            missing.is_empty(),
            Skipped(format!("needs the Debian packages {missing}"))
        );
        (self.run)(setting)
    }
}

/// Looks at what all others have left, so it comes last.
pub(crate) const LAST: &str = "tidy";

/// In the order in which they start, each once those that it needs have ended. Parts for which
/// cargo locks the same directory (`arch`, `clippy`, `doc`) are apart: side by side, they would
/// wait for each other.
static PARTS: [Part; 14] = [
    part("fmt", "all code is formatted", &[], fmt),
    part(
        "build",
        "the tests build, and all that they run",
        &[],
        build,
    ),
    part("dist", "the release binary builds and is static", &[], dist),
    part(
        "vm",
        "tests that need another kernel pass in a virtual machine",
        &["build", "dist"],
        vm::run,
    )
    .with(vm::NEEDED),
    part(
        "arch",
        "the product compiles for other architectures, and its files are the same there",
        &[],
        arch::run,
    )
    .with(arch::NEEDED),
    part(
        "test",
        "all tests pass, with debug binaries",
        &["build"],
        test,
    ),
    part(
        "dist-binaries",
        "the plugins' integration tests pass with the release binary, and so do those of panics",
        &["build", "dist"],
        test_dist,
    ),
    part(
        "doc",
        "the documentation builds without a warning",
        &[],
        doc,
    ),
    part(
        "powercut",
        "the state is as it must be after power cuts",
        &["build", "dist"],
        powercut,
    )
    .with(vm::NEEDED),
    part(
        "podman",
        "podman's containers come and go, also over a reboot",
        &["dist"],
        podman::run,
    )
    .with(podman::NEEDED),
    part(
        "packages",
        "packages install, upgrade and go; two packings are the same",
        &["build", "dist"],
        distributions::run,
    )
    .with(distributions::NEEDED),
    part("demo", "the demo works", &["build", "dist"], demo),
    part("clippy", "clippy finds nothing", &[], clippy),
    part(LAST, "the machine is as it was before", &[], tidy),
];

const fn part(
    name: &'static str,
    about: &'static str,
    needs: &'static [&'static str],
    run: fn(&Setting) -> Result<String>,
) -> Part {
    Part {
        name,
        about,
        needs,
        packages: &[],
        run,
    }
}

/// The part of a name.
pub(crate) fn named(name: &str) -> Option<&'static Part> {
    PARTS.iter().find(|part| part.name == name)
}

/// The parts of these names, or all; with those that they need.
pub(super) fn in_order(chosen: &[&Part]) -> Vec<&'static Part> {
    let is_wanted = |part: &&Part| {
        let wants = |other: &&Part| other.name == part.name || other.needs.contains(&part.name);
        chosen.is_empty() || chosen.iter().any(wants)
    };
    PARTS.iter().filter(is_wanted).collect()
}

/// The help text.
pub(super) fn usage() -> String {
    let lines = PARTS
        .iter()
        .map(|part| format!("  {:<14} {}\n", part.name, part.about));
    format!(
        "usage: cargo xtask test [PART...] [--cuts N] [--kills N]\n\n\
         Runs these parts and those that they need, or all parts:\n\n{}\n  \
         --cuts N       how often `powercut` cuts the power [default: 5]; prints each cut\n  \
         --kills N      how often `podman` kills ten of fifty containers, instead of its checks\n",
        lines.collect::<String>()
    )
}

fn fmt(setting: &Setting) -> Result<String> {
    for dir in ["crates", "plugins", "twill"] {
        width::check(&setting.workspace.root.join(dir))?;
    }
    let fmt = setting.workspace.cargo(&["fmt", "--all", "--check"]);
    command::run(fmt, Show::IfItFails).map(|()| String::new())
}

fn build(setting: &Setting) -> Result<String> {
    let all = ["--workspace", "--bins", "--tests"];
    let built = Binaries::build(setting.cargo_instrumented("build", &all))?;
    setting.binaries.get_or_init(|| built);
    Ok(String::new())
}

fn dist(setting: &Setting) -> Result<String> {
    dist::build(&setting.workspace, Show::IfItFails).map(|_| String::new())
}

/// Looks at everything, and at the product without the database.
fn clippy(setting: &Setting) -> Result<String> {
    let all: &[&str] = &["--workspace", "--all-targets"];
    for targets in [all, &["--package", "twill", "--no-default-features"]] {
        let clippy = setting.cargo("clippy", &[targets, &["--", "-D", "warnings"]].concat());
        command::run(clippy, Show::IfItFails)?;
    }
    Ok(String::new())
}

fn test(setting: &Setting) -> Result<String> {
    let passed = libtest::run(setting.binaries()?.tests(), |test| setting.prepare(test))?;
    // Examples in the documentation have no binary of their own.
    let examples: &[&str] = &["--workspace", "--doc"];
    let without_database: &[&str] = &["--package", "allocator", "--lib", "--no-default-features"];
    for (tests, filter) in [(examples, ""), (without_database, "location")] {
        let mut cargo = setting.cargo_instrumented("test", tests);
        setting.prepare(cargo.args(["--quiet", "--", filter]));
        command::run(cargo, Show::IfItFails)?;
    }
    Ok(format!("{passed} tests"))
}

/// The other side of comparisons is the same as in the part `test`, so it is left out.
fn test_dist(setting: &Setting) -> Result<String> {
    // In a release build a panic aborts: only there is the reply what a runtime gets.
    let faulty = dist::build_program(&setting.workspace, "faulty", Show::IfItFails)?;
    let binaries = setting.binaries()?;
    let of_panics = binaries.integration_test("faulty", "answers")?;
    let root = &setting.workspace.root;
    let (plugins, twill) = (root.join("plugins"), root.join("twill"));
    let shared = binaries.integration_test("sub-interface", "parity")?;
    let lists = binaries.integration_test("conflist", "known_lists")?;
    let all = binaries.integration_tests(&plugins);
    let all = all.chain(binaries.integration_tests(&twill));
    let all = all.chain([of_panics, shared, lists]);
    let passed = libtest::run(all, |test| {
        setting.prepare(test);
        test.env("TWILL_PLUGIN_DIR", setting.workspace.dist_dir())
            .env("TWILL_FAULTY", &faulty)
            .env("TWILL_UNDER_TEST", "ours");
    })?;
    Ok(format!("{passed} tests"))
}

/// Who asks for a number of cuts wants to see them.
fn powercut(setting: &Setting) -> Result<String> {
    let (cuts, show) = match setting.repeats.cuts {
        Some(cuts) => (cuts, Show::Always),
        None => (5, Show::IfItFails),
    };
    setting.kernel()?;
    let mut powercut = setting.program("powercut")?;
    powercut.arg("--plugins").arg(setting.workspace.dist_dir());
    powercut.arg("--kernel").arg(setting.kernel_dir());
    powercut.args(["--cuts", &cuts.to_string()]);
    command::run(powercut, show)?;
    Ok(format!("{cuts} cuts"))
}

fn demo(setting: &Setting) -> Result<String> {
    setting.needs_root()?;
    // The machine's kernel need not have ipvlan.
    for delegate in ["bridge", "macvlan"] {
        let mut demo = setting.program("demo")?;
        demo.args(["--delegate", delegate, "--plugins"])
            .arg(setting.workspace.dist_dir());
        command::run(demo, Show::IfItFails)?;
    }
    Ok(String::new())
}

fn doc(setting: &Setting) -> Result<String> {
    let mut cargo = setting.cargo("doc", &["--no-deps", "--workspace"]);
    cargo.env("RUSTDOCFLAGS", "-D warnings");
    command::run(cargo, Show::IfItFails)?;
    Ok(String::new())
}

fn tidy(setting: &Setting) -> Result<String> {
    tidy::check(&setting.before, &setting.temporary)?;
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_with_what_they_need() {
        let names = |chosen: &[&str]| {
            let chosen: Vec<_> = chosen.iter().map(|name| named(name).unwrap()).collect();
            in_order(&chosen)
                .iter()
                .map(|part| part.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&[]).len(), PARTS.len());
        assert_eq!(names(&["doc", "fmt"]), ["fmt", "doc"]);
        assert_eq!(names(&["podman"]), ["dist", "podman"]);
        assert!(named("all").is_none());
    }

    #[test]
    fn needed_parts_come_before_and_need_nothing_themselves() {
        for (place, part) in PARTS.iter().enumerate() {
            for needed in part.needs {
                let found = PARTS[..place].iter().find(|before| before.name == *needed);
                assert!(
                    found.unwrap().needs.is_empty(),
                    "{} needs {needed}",
                    part.name
                );
            }
        }
    }
}
