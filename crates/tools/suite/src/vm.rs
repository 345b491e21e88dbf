//! Tests that need another kernel than the running one: in a virtual machine, with a kernel of
//! Debian's.
//!
//! The machine has the binaries of `cargo xtask dist`, Debian's plugins to compare them with, and
//! the test binaries of [`ROUNDS`]. A test that is skipped for its kernel anywhere belongs into one
//! of these: what has not passed here stays on the list of what was skipped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::requirements::REFERENCE_DIR;
use vm::{Kernel, Machine};
use xtask::packages::Needed;

use super::binaries::Binary;
use super::libtest::{self, THREADS};
use super::setting::Setting;

/// What runs a virtual machine.
pub(super) const NEEDED: &[Needed] = &[("qemu-system-x86_64", "qemu-system-x86")];

/// A package, a test binary of it, and arguments that choose those of its tests that this machine's
/// kernel may not be able to run.
type Suite = (&'static str, &'static str, &'static [&'static str]);

/// A word for the kernel's command line, and what is to be tried with that.
const ROUNDS: [(&str, &[Suite]); 2] = [
    (
        "",
        &[
            ("bandwidth", "kernels", &[]),
            (
                "netlink",
                "kernel",
                &["vlan::", "sub_interface::an_ipvlan_", "removal::"],
            ),
            // What is refused before the link is made is refused by any kernel.
            (
                "ipvlan",
                "parity",
                &["--skip=refused_chain::", "--skip=no_module::"],
            ),
            // And both plugins' removals: whatever a kernel means by the event that a link is gone.
            (
                "sub-interface",
                "parity",
                &["::ipvlan::", "removal::", "--skip=refused::"],
            ),
            ("bridge", "removal", &[]),
            ("bridge", "node", &["ipv6_off::"]),
            ("bridge", "vlan", &[]),
            ("flannel", "master", &[]),
        ],
    ),
    ("ipv6.disable=1", &[("flannel", "no_ipv6", &[])]),
];

/// In the order in which they are loaded. Without `ifb`, bandwidth has to do without it.
const MODULES: &str = "veth macvlan ipvlan llc stp mrp garp 8021q bridge libcrc32c nf_defrag_ipv4 \
    nf_defrag_ipv6 nf_conntrack nf_nat nfnetlink nf_tables nft_chain_nat nft_masq sch_tbf sch_htb \
    sch_ingress cls_u32 act_police";

/// What tests run besides the plugins and busybox.
const PROGRAMS: [&str; 6] = ["bridge", "ip", "nft", "ping", "setpriv", "tc"];

/// Files that tests look for where they are here.
const SUPPORT: [&str; 2] = [
    "crates/tools/testkit/scripted-delegate.sh",
    "crates/tools/testkit/unprivileged.sh",
];

/// The tests take some four minutes on an idle machine, and five times that on a busy one.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// Comes before what a test binary prints, with its package and its name.
const BEGIN: &str = "vm: suite ";

/// Runs everything, and notes which tests have passed: all, or it is an error.
pub(super) fn run(setting: &Setting) -> Result<String> {
    let kernel = setting.kernel()?;
    let mut passed = BTreeSet::new();
    for (option, suites) in ROUNDS {
        passed.extend(run_round(setting, kernel.clone(), option, suites)?);
    }
    let note = format!("{} tests", passed.len());
    *setting
        .passed_in_vm
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = passed;
    Ok(note)
}

/// The tests of some suites that have passed, as `<package> <test>`.
fn run_round(
    setting: &Setting,
    kernel: Kernel,
    option: &str,
    suites: &[Suite],
) -> Result<BTreeSet<String>> {
    let mut machine = Machine::new(kernel)?
        .modules(&MODULES.split_whitespace().collect::<Vec<_>>())
        .limit(LIMIT)
        // Another part of the suite runs beside this one.
        .processors(1)
        .option(option)
        .dir("/var/lib/cni")?
        .dir("/etc/cni")?
        .copy_dir(setting.workspace.dist_dir(), "/plugins")?;
    for (package, target, _) in suites {
        let Binary { file, dir, .. } = setting.binaries()?.integration_test(package, target)?;
        // Some tests go from there to files of others.
        machine = machine.copy_as(file, place(package, target))?.dir(dir)?;
    }
    for file in SUPPORT {
        machine = machine.copy(setting.workspace.root.join(file))?;
    }
    for plugin in ["bridge", "host-local", "ipvlan", "macvlan"] {
        machine = machine.copy(Path::new(REFERENCE_DIR).join(plugin))?;
    }
    for program in PROGRAMS {
        machine = machine.program(program)?;
    }
    let finished = machine.run(&script(suites))?;
    let passed = passed(&finished.console, suites);
    ensure!(
        finished.status == Some(0) && passed.is_some(),
        "not every test of {suites:?} has passed, {} (none: not in {LIMIT:?}):\n{}",
        finished
            .status
            .map_or("status none".to_owned(), |status| format!(
                "status {status}"
            )),
        libtest::others(&finished.console)
    );
    Ok(passed.unwrap_or_default())
}

fn place(package: &str, target: &str) -> PathBuf {
    format!("/tests/{package}-{target}").into()
}

/// Runs the suites one after another; its status says whether all passed.
fn script(suites: &[Suite]) -> String {
    let run = |(package, target, args): &Suite| {
        let (test, args) = (place(package, target), args.join(" "));
        format!(
            "echo '{BEGIN}{package} {target}'\nCARGO_PKG_NAME={package} {} {THREADS} {args} || \
             status=1\n",
            test.display()
        )
    };
    format!(
        "export TWILL_IN_VM=1 TWILL_PLUGIN_DIR=/plugins RUST_BACKTRACE=0\nuname -r\nstatus=0\n\
         {}exit $status\n",
        suites.iter().map(run).collect::<String>()
    )
}

/// The tests that have passed by what the script printed; `None` if a suite has none.
fn passed(console: &str, suites: &[Suite]) -> Option<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for (package, target, _) in suites {
        let (_, after) = console.split_once(&format!("{BEGIN}{package} {target}\n"))?;
        let own = after.split(BEGIN).next().unwrap_or_default();
        let before = all.len();
        all.extend(libtest::passed(own).map(|name| format!("{package} {name}")));
        (all.len() > before).then_some(())?;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_passed_belong_to_their_suites() {
        let console = "SeaBIOS\nvm: suite netlink kernel\n\nrunning 2 tests\n\
            test vlan::a ... ok\ntest vlan::b ... FAILED\ntest result: FAILED. 1 passed\n\
            vm: suite bridge vlan\ntest vlan::c ... ok\nvm: suite bridge none\n";
        let (one, other) = (("netlink", "kernel", &[][..]), ("bridge", "vlan", &[][..]));
        let both = ["bridge vlan::c", "netlink vlan::a"].map(str::to_owned);
        assert_eq!(passed(console, &[one, other]), Some(both.into()));
        assert_eq!(passed(console, &[("bridge", "none", &[])]), None);
        assert_eq!(passed(console, &[("vm", "kernel", &[])]), None);
    }
}
