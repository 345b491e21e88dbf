//! The host's side: it switches the machine on, and off at a random instant, again and again.

mod boot;
mod disk;
mod ledger;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fastrand::Rng;
use tempfile::TempDir;
use vm::{DISK_MODULES, Finished, Kernel, Machine};

use crate::event::{Event, Progress, StoreKind};
use crate::guest::{AUDITED, OLD, PLUGINS, TASK};
use boot::{Boot, Cut};
use disk::{Disk, Loss};
use ledger::Ledger;

/// What is needed, and how much is done.
pub(crate) struct Options {
    /// The directory of the plugins.
    pub(crate) plugins: PathBuf,
    /// The directory of the machine's kernel; apt fetches it if it is not there.
    pub(crate) kernel: PathBuf,
    /// How often the power is cut.
    pub(crate) cuts: u32,
    /// The start of the random numbers.
    pub(crate) seed: u64,
}

/// What a bridge network needs, in the order in which it is loaded.
const MODULES: [&str; 4] = ["veth", "llc", "stp", "bridge"];

/// After the boot it is a few seconds' work, on an idle machine.
const LIMIT: Duration = Duration::from_secs(900);

/// What the console has when something has failed, even if the machine has no time left to end by
/// it.
const FAILURES: [&str; 2] = ["panicked at", "\nError: "];

/// Of a console, this many lines are printed; the failure is usually among the last.
const MOST: usize = 60;

/// Cuts the power as often as planned, and prints a line for each.
pub(crate) fn run(options: &Options) -> Result<()> {
    println!("seed {}", options.seed);
    let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
    let done = cut_again_and_again(options, &mut Rng::with_seed(options.seed), dir.path());
    done.with_context(|| {
        let kept = TempDir::keep(dir);
        format!("the disk and the consoles are in {}", kept.display())
    })
}

fn cut_again_and_again(options: &Options, random: &mut Rng, dir: &Path) -> Result<()> {
    let kernel = Kernel::of_debian(&options.kernel).context("cannot get a kernel")?;
    let disk = Disk::new(dir, random)?;
    let mut ledger = Ledger::default();
    let mut is_fresh = true;
    // Whether the ledger has all that the machine has done since its disk was as it should be.
    let mut exact = true;
    for number in 0..=options.cuts {
        let is_last = number == options.cuts;
        let mut boot = match is_last {
            true => Boot::last(number),
            false => Boot::random(number, is_fresh, random),
        };
        boot.task.exact = exact;
        let machine = machine(kernel.clone(), &options.plugins, &disk, &ledger)?
            .file(TASK, serde_json::to_vec(&boot.task)?)?;
        let (finished, certain) = switch_on(machine, &boot, &disk)?;
        let console = dir.join(format!("console-{number}"));
        fs::write(console, &finished.console).context("cannot keep the console")?;
        let expected = if is_last { Some(0) } else { None };
        let has_failed = FAILURES.iter().any(|word| finished.console.contains(word));
        if finished.status != expected || has_failed || !boot.has_begun(&finished.console) {
            bail!("after {number} cuts: {}", failed(&finished));
        }
        exact = take_in(&finished.console, &mut ledger)
            .with_context(|| format!("after {number} cuts"))?;
        let Some(cut) = &boot.cut else { break };
        // Events before the end of the audit are forgotten.
        let loss = match cut.loss {
            Loss::CacheBeforeFlush if cut.in_audit && exact => Loss::Cache,
            loss => loss,
        };
        let lost = disk.lose(loss, certain, random)?;
        exact &= lost != Loss::CacheBeforeFlush;
        print(number + 1, cut, lost, &ledger);
        ledger.reboot();
        is_fresh = cut.is_followed_by_fresh_disk;
        if is_fresh {
            disk.make_file_system(random)?;
            ledger.clear();
        }
    }
    Ok(())
}

fn machine(kernel: Kernel, plugins: &Path, disk: &Disk, ledger: &Ledger) -> Result<Machine> {
    let old = ledger.old().map(|event| event.line());
    let old = old.collect::<Result<String>>()?;
    let program = std::env::current_exe().context("cannot find the program itself")?;
    Machine::new(kernel)?
        .modules(&DISK_MODULES)
        .modules(&MODULES)
        .limit(LIMIT)
        .disk(disk.plug()?)
        .dir("/var/lib/cni")?
        .file(OLD, old)?
        .program("ip")?
        .copy_as(program, "/powercut")?
        .copy_dir(plugins, PLUGINS)
}

/// Lets the machine run until its power is cut, or to its end. Returns also how much was logged
/// before that.
fn switch_on(machine: Machine, boot: &Boot, disk: &Disk) -> Result<(Finished, usize)> {
    let mut running = machine.start(boot::SCRIPT)?;
    let Some(cut) = &boot.cut else {
        return Ok((running.finish(), disk.logged()?));
    };
    running.waits_until(LIMIT, |console| boot.has_begun(console));
    let logged = disk.logged()?;
    running.waits_until(cut.timeout, |console| boot.is_due(console));
    Ok((running.cut_after(cut.then), logged))
}

/// Notes the events on a machine's console; true if it came through its audit, so that the events
/// since then are all there are.
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

fn print(number: u32, cut: &Cut, lost: Loss, ledger: &Ledger) {
    let of = |backend: StoreKind| {
        let all = ledger.new_of(backend);
        let held = all
            .clone()
            .filter(|progress| matches!(progress, Progress::Added(_)));
        let gone = all
            .clone()
            .filter(|progress| **progress == Progress::Deleted);
        let (held, gone) = (held.count(), gone.count());
        let under_way = all.count() - held - gone;
        let name = backend.name();
        format!("{name}: {held} attached, {gone} detached, {under_way} under way")
    };
    let networks = StoreKind::ALL.map(of).join("; ");
    println!("cut {number} {cut}, {lost}; {networks}");
}

fn failed(finished: &Finished) -> String {
    let lines: Vec<&str> = finished.console.lines().collect();
    let first = lines.len().saturating_sub(MOST);
    let last = lines.get(first..).unwrap_or_default();
    let status = match finished.status {
        Some(status) => format!("ended with status {status}"),
        None => "did not come to its end".to_owned(),
    };
    format!("the machine {status}:\n{}", last.join("\n"))
}
