//! What happens here: the machine is switched on, and off at a random instant, again and again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use fastrand::Rng;
use vm::{DISK_MODULES, Finished, Kernel, Machine};

use crate::attachment::Backend;
use crate::event::{Event, Step};
use crate::guest::{AUDITED, BEGINS};
use crate::ledger::Ledger;

/// What is needed, and how much is done.
#[derive(Args)]
pub(crate) struct Plan {
    /// The folder of the plugins
    #[arg(long)]
    plugins: PathBuf,
    /// The folder of the machine's kernel; apt fetches it if it is not there
    #[arg(long)]
    kernel: PathBuf,
    /// How often the power is cut
    #[arg(long, default_value_t = 5)]
    cuts: u32,
    /// The start of the random numbers
    #[arg(long)]
    seed: Option<u64>,
}

/// What a bridge network needs, in the order in which it is loaded.
const MODULES: [&str; 4] = ["veth", "llc", "stp", "bridge"];

/// After the boot it is a few seconds' work.
const LIMIT: Duration = Duration::from_secs(300);

/// How long a storm may last, in milliseconds.
const STORM: std::ops::Range<u64> = 200..4000;

/// One in this many cuts hits the audit instead, at most this long after its begin.
const AUDITS_CUT: u8 = 4;
const AUDIT: std::ops::Range<u64> = 0..4000;

/// Of a console, this many lines are told; what went wrong is usually among the last.
const TOLD: usize = 60;

/// Cuts the power as often as planned, and tells a line for each.
pub(crate) fn run(plan: &Plan) -> Result<()> {
    let seed = plan.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let kernel = Kernel::of_debian(&plan.kernel).context("cannot get a kernel")?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let disk = folder.path().join("disk");
    make_disk(&disk)?;

    let mut ledger = Ledger::default();
    let mut exact = true;
    for boot in 0..=plan.cuts {
        let machine = machine(kernel.clone(), &plan.plugins, &disk, &ledger)?;
        let script = script(boot, boot < plan.cuts, exact, &mut random);
        let mut running = machine.start(&script)?;
        if boot == plan.cuts {
            let finished = running.finish();
            ensure!(
                finished.status == Some(0),
                "after the last cut: {}",
                failed(&finished)
            );
            break;
        }
        let audit_is_cut = boot > 0 && random.u8(..AUDITS_CUT) == 0;
        let (from, times) = if audit_is_cut {
            (BEGINS, AUDIT)
        } else {
            (AUDITED, STORM)
        };
        let is_there = running.waits_for(from);
        let time = Duration::from_millis(random.u64(times));
        let finished = running.cut_after(if is_there { time } else { Duration::ZERO });
        if !is_there || finished.status.is_some() {
            bail!("after {boot} cuts: {}", failed(&finished));
        }
        exact = take_in(&finished.console, &mut ledger)
            .with_context(|| format!("after {boot} cuts"))?;
        println!(
            "cut {}, {time:?} after `{from}`: {}",
            boot + 1,
            summary(&ledger)
        );
        ledger.reboot();
    }
    Ok(())
}

/// A disk with a file system that has nothing in it.
fn make_disk(disk: &Path) -> Result<()> {
    let output = Command::new("mkfs.ext4")
        .args(["-q", "-F"])
        .arg(disk)
        .arg("64M")
        .output()
        .context("cannot run `mkfs.ext4` (Debian package e2fsprogs)")?;
    ensure!(
        output.status.success(),
        "`mkfs.ext4` failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn machine(kernel: Kernel, plugins: &Path, disk: &Path, ledger: &Ledger) -> Result<Machine> {
    let old: String = ledger.old().map(|event| format!("{event}\n")).collect();
    let program = std::env::current_exe().context("cannot find the program itself")?;
    let ip = ["/bin/ip", "/usr/bin/ip", "/sbin/ip", "/usr/sbin/ip"];
    let ip = ip.into_iter().find(|path| Path::new(path).is_file());
    let ip = ip.context("`ip` is not installed (Debian package iproute2)")?;
    Machine::new(kernel)?
        .modules(&DISK_MODULES)
        .modules(&MODULES)
        .limit(LIMIT)
        .disk(format!("format=raw,file={}", disk.display()))
        .folder("/var/lib/cni")
        .file("/old", old)
        .copy(ip)?
        .copy_as(program, "/powercut")?
        .copy_folder(plugins, "/plugins")
}

/// What the machine does after a boot.
fn script(boot: u32, storm: bool, exact: bool, random: &mut Rng) -> String {
    let seed = random.u64(..);
    let mut task = format!("guest --boot {boot} --seed {seed} --plugins /plugins --old /old");
    for (flag, is_set) in [
        ("--storm", storm),
        ("--exact", exact),
        ("--new-first", random.bool()),
    ] {
        if is_set {
            task.push(' ');
            task.push_str(flag);
        }
    }
    // The journal is written out every second instead of every five: there is more of it that is worth a look.
    format!(
        "mount -t ext4 -o commit=1 /dev/vda /var/lib/cni || exit 1\n\
         RUST_BACKTRACE=0 /powercut {task}\n"
    )
}

/// Notes what a machine has said; true if it came through its audit, so that the storm's words are all there is.
fn take_in(console: &str, ledger: &mut Ledger) -> Result<bool> {
    let (before, after) = match console.split_once(AUDITED) {
        Some((before, after)) => (before, Some(after)),
        None => (console, None),
    };
    for event in Event::all_in(before) {
        ledger.note(event?)?;
    }
    let Some(after) = after else { return Ok(false) };
    ledger.clear();
    for event in Event::all_in(after) {
        ledger.note(event?)?;
    }
    Ok(true)
}

fn summary(ledger: &Ledger) -> String {
    let of = |backend: Backend| {
        let steps = ledger.new_of(backend);
        let held = steps.clone().filter(|step| matches!(step, Step::Added(_)));
        let gone = steps.clone().filter(|step| **step == Step::Deleted);
        let (held, gone) = (held.count(), gone.count());
        let under_way = steps.count() - held - gone;
        format!(
            "{} {held} attached, {gone} detached, {under_way} under way",
            backend.name()
        )
    };
    Backend::ALL.map(of).join("; ")
}

fn failed(finished: &Finished) -> String {
    let lines: Vec<&str> = finished.console.lines().collect();
    let last = lines
        .get(lines.len().saturating_sub(TOLD)..)
        .unwrap_or_default();
    let status = match finished.status {
        Some(status) => format!("ended with status {status}"),
        None => "did not come to its end".to_owned(),
    };
    format!("the machine {status}:\n{}", last.join("\n"))
}
