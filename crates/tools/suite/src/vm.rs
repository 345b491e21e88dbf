//! Tests that need another kernel than the running one: in a virtual machine, with a kernel of
//! Debian's.
//!
//! The machine has the binaries of `cargo xtask dist`, Debian's plugins to compare them with, and
//! the test binaries of [`ROUNDS`]. A test that is skipped for its kernel anywhere belongs into one
//! of these: what has not passed here stays on the list of what was skipped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use testkit::requirements::REFERENCE_DIR;
use vm::{Kernel, Machine};

use super::binaries::{Binaries, Binary};
use super::report::{self, Report};
use super::run::Setting;
use super::skips::Test;

/// Tests for the machine.
struct Suite {
    package: &'static str,
    /// The test binary.
    target: &'static str,
    /// Which of its tests: those that this machine's kernel may not be able to run.
    args: &'static [&'static str],
}

impl Suite {
    fn binary<'a>(&self, binaries: &'a Binaries) -> Result<&'a Binary> {
        binaries.integration_test(self.package, self.target)
    }
}

/// A kernel and what is to be tried with it.
struct Round {
    /// A word for the kernel's command line.
    option: Option<&'static str>,
    suites: &'static [Suite],
}

const ROUNDS: [Round; 2] = [
    Round {
        option: None,
        suites: &SUITES,
    },
    Round {
        option: Some("ipv6.disable=1"),
        suites: &[Suite {
            package: "twill-flannel",
            target: "no_ipv6",
            args: &[],
        }],
    },
];

const SUITES: [Suite; 7] = [
    Suite {
        package: "netlink",
        target: "kernel",
        args: &["vlan::", "sub_interface::an_ipvlan_", "removal::"],
    },
    Suite {
        package: "twill-ipvlan",
        target: "parity",
        // What is refused before the link is made is refused by any kernel.
        args: &[
            "--skip=common::refused::",
            "--skip=refused_chain::",
            "--skip=no_module::",
        ],
    },
    Suite {
        package: "twill-macvlan",
        target: "parity",
        // Whatever a kernel means by the event that a link is gone.
        args: &["common::removal::"],
    },
    Suite {
        package: "twill-bridge",
        target: "removal",
        args: &[],
    },
    Suite {
        package: "twill-bridge",
        target: "node",
        args: &["ipv6_off::"],
    },
    Suite {
        package: "twill-bridge",
        target: "vlan",
        args: &[],
    },
    Suite {
        package: "twill-flannel",
        target: "master",
        args: &[],
    },
];

/// The tests of the machine itself, which boot some of their own from here.
const BOOT: Suite = Suite {
    package: "vm",
    target: "boot",
    args: &[],
};

/// In the order in which they are loaded.
const MODULES: [&str; 18] = [
    "veth",
    "macvlan",
    "ipvlan",
    "llc",
    "stp",
    "mrp",
    "garp",
    "8021q",
    "bridge",
    "libcrc32c",
    "nf_defrag_ipv4",
    "nf_defrag_ipv6",
    "nf_conntrack",
    "nf_nat",
    "nfnetlink",
    "nf_tables",
    "nft_chain_nat",
    "nft_masq",
];

/// What tests run besides the plugins and busybox.
const PROGRAMS: [&str; 5] = ["bridge", "ip", "nft", "ping", "setpriv"];

/// Files that tests look for where they are here.
const SUPPORT: [&str; 2] = [
    "crates/tools/testkit/scripted-delegate.sh",
    "crates/tools/testkit/unprivileged.sh",
];

/// The tests take some five minutes on an idle machine, and longer beside other parts.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Runs everything, and returns which tests have passed: all, or it is an error.
pub(super) fn run(
    setting: &Setting<'_>,
    kernel: Kernel,
    binaries: &Binaries,
) -> Result<BTreeSet<Test>> {
    let mut passed = boot_tests(setting, BOOT.binary(binaries)?)?;
    for round in &ROUNDS {
        let workspace = setting.workspace;
        let plugins = workspace.dist_dir();
        let machine = machine(kernel.clone(), &workspace.root, &plugins, round, binaries)?;
        passed.extend(run_in(machine, round.suites)?);
    }
    Ok(passed)
}

/// The tests of some suites that have passed: all, or it is an error.
fn run_in(machine: Machine, suites: &[Suite]) -> Result<BTreeSet<Test>> {
    let finished = machine.run(&script(suites))?;
    let report = Report::of(&finished.console);
    if finished.status.is_none() {
        bail!(
            "the machine did not come to the end of its script in {} s:\n{}",
            LIMIT.as_secs(),
            report.unexpected()
        );
    }
    let mut passed = BTreeSet::new();
    for suite in suites {
        let name = (suite.package, suite.target);
        let of_suite = report.passed_in(name);
        if finished.status != Some(0) || of_suite.is_empty() {
            let packages: Vec<_> = suites.iter().map(|suite| suite.package).collect();
            bail!(
                "not every test of {} has run and passed:\n{}",
                packages.join(", "),
                report.unexpected()
            );
        }
        passed.extend(of_suite);
    }
    Ok(passed)
}

fn boot_tests(setting: &Setting<'_>, binary: &Binary) -> Result<BTreeSet<Test>> {
    let mut command = Command::new(&binary.file);
    setting.prepare(&mut command);
    command
        .args(BOOT.args)
        .env("TWILL_VM_KERNEL", setting.kernel_dir())
        .env("CARGO_PKG_NAME", BOOT.package);
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", binary.file.display()))?;
    let name = (BOOT.package, BOOT.target);
    let text = report::begin(name) + &String::from_utf8_lossy(&output.stdout);
    let report = Report::of(&text);
    let passed = report.passed_in(name);
    if !output.status.success() || passed.is_empty() {
        bail!("a machine does not boot:\n{}", report.unexpected());
    }
    Ok(passed)
}

fn machine(
    kernel: Kernel,
    root: &Path,
    plugins: &Path,
    round: &Round,
    binaries: &Binaries,
) -> Result<Machine> {
    let mut machine = Machine::new(kernel)?
        .modules(&MODULES)
        .limit(LIMIT)
        .dir("/var/lib/cni")?
        .dir("/etc/cni")?;
    if let Some(option) = round.option {
        machine = machine.option(option);
    }
    for suite in round.suites {
        let binary = suite.binary(binaries)?;
        machine = machine
            .copy_as(&binary.file, place(suite))?
            // Some tests go from here to files of others.
            .dir(&binary.dir)?;
    }
    for file in SUPPORT {
        machine = machine.copy(root.join(file))?;
    }
    machine = machine.copy_dir(plugins, "/plugins")?;
    for plugin in ["bridge", "host-local", "ipvlan", "macvlan"] {
        machine = machine.copy(Path::new(REFERENCE_DIR).join(plugin))?;
    }
    for program in PROGRAMS {
        machine = machine.program(program)?;
    }
    Ok(machine)
}

fn place(suite: &Suite) -> PathBuf {
    format!("/tests/{}-{}", suite.package, suite.target).into()
}

/// Runs the suites one after another; its status says whether all went well.
fn script(suites: &[Suite]) -> String {
    let mut script = String::from(
        "export TWILL_IN_VM=1 TWILL_PLUGIN_DIR=/plugins RUST_BACKTRACE=0\nuname -r\nstatus=0\n",
    );
    for suite in suites {
        let begin = report::begin((suite.package, suite.target));
        let test = place(suite);
        script.push_str(&format!(
            "echo '{}'\nCARGO_PKG_NAME={} {} --test-threads 4 {} || status=1\n",
            begin.trim_end(),
            suite.package,
            test.display(),
            suite.args.join(" "),
        ));
    }
    script + "exit $status\n"
}
