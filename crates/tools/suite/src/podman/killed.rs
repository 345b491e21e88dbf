//! `twill gc` after containers were killed together with conmon, which tells podman of their end.

use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, ensure};

use super::disk::Disk;
use super::machine::Machine;
use super::{Container, IDLE, at_once, start};

/// The lease of a node with many containers.
const LARGE: &str = "10.244.1.1/24";

/// The containers of such a node, and how many of them are killed in a round.
const MANY: usize = 50;
const KILLED: usize = 10;

/// How many containers start at a time.
const STARTS: usize = 5;

/// `twill gc` frees exactly what the killed hold, while podman still lists them as running and
/// starts another container.
pub(super) fn free_the_killed(
    node: &Machine<'_>,
    disk: &Disk,
    plugins: &Path,
    running: &mut Vec<Container>,
) -> Result<()> {
    let gone = ["gone1", "gone2"].map(|name| start(node, disk, name, &[], IDLE));
    let gone = gone.into_iter().collect::<Result<Vec<_>>>()?;
    let beside = || Ok(vec![start(node, disk, "beside", &[], IDLE)?]);
    kill_and_free(node, disk, plugins, running, gone, beside)
}

/// Rounds in which a fifth of many containers is killed, and replaced while `twill gc` runs.
pub(super) fn free_in_rounds(disk: &Disk, plugins: &Path, rounds: u32) -> Result<()> {
    let node = Machine::boot(disk, LARGE)?;
    let mut running = Vec::new();
    for batch in 0..MANY / STARTS {
        running.extend(at_once(&node, disk, &format!("first{batch}-"), STARTS)?);
    }
    for round in 1..=rounds {
        // The oldest go, with addresses that are not in a row after a while.
        let gone = running.drain(..KILLED).collect();
        let beside = || {
            let mut started = Vec::new();
            for batch in 0..KILLED / STARTS {
                let name = format!("round{round}-{batch}-");
                started.extend(at_once(&node, disk, &name, STARTS)?);
            }
            Ok(started)
        };
        kill_and_free(&node, disk, plugins, &mut running, gone, beside)
            .with_context(|| format!("round {round}"))?;
        // Neighbours in the list are not killed together again.
        running.rotate_left(usize::try_from(round)? % MANY);
    }
    node.switch_off()
}

/// Kills containers, has `twill gc` free what they hold while others start, and expects exactly
/// that.
fn kill_and_free(
    node: &Machine<'_>,
    disk: &Disk,
    plugins: &Path,
    running: &mut Vec<Container>,
    gone: Vec<Container>,
    beside: impl FnOnce() -> Result<Vec<Container>> + Send,
) -> Result<()> {
    for Container { name, .. } in &gone {
        let both = node.inspect(name, "{{.State.ConmonPid}} {{.State.Pid}}")?;
        let kill = ["busybox", "kill", "-9"].into_iter();
        node.run(&kill.chain(both.split(' ')).collect::<Vec<_>>())?;
    }
    let twill = plugins.join("twill").display().to_string();
    let options = ["--from", "podman", "--older-than", "0s", "--apply"];
    let gc = [&[&twill, "gc"], options.as_slice()].concat();
    let (printed, started) = thread::scope(|scope| {
        let beside = scope.spawn(beside);
        let printed = node.run(&gc);
        let started = beside.join();
        (
            printed,
            started.unwrap_or_else(|panic| resume_unwind(panic)),
        )
    });
    let printed = printed?;
    running.extend(started?);
    let (count, freed) = (gone.len(), "dead attachments freed");
    ensure!(
        printed.contains(&format!("{count} of {count} {freed}")),
        "`twill gc` prints {printed}"
    );
    disk.expect_only(running)
        .context("after `twill gc` of containers that were killed together with conmon")?;
    for Container { name, .. } in &gone {
        // Podman may fail to kill the dead container, and only then note its end.
        let remove = ["rm", "--force", "--time=0", name];
        node.podman(&remove).or_else(|_| node.podman(&remove))?;
    }
    disk.expect_only(running)
        .context("after `podman rm` of what `twill gc` has freed")
}
