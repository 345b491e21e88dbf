//! The rounds at one number of addresses in use.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;

use super::contender::{Entry, Operation};
use super::effort::Effort;
use super::figures::Figures;
use crate::bench::memory;
use crate::bench::rounds::{Pace, order};
use crate::bench::stats::Samples;
use crate::bench::units;
use crate::terminal::time;

/// What a round consists of, and the share of the time that each part may take. The address that is given is taken back, so
/// that as many are in use as before.
const ROUND: [(&[Operation], f64); 2] = [
    (&[Operation::Add, Operation::Del], 0.75),
    (&[Operation::DelOfNothing], 0.25),
];

/// Measures at one size, larger than those before; tells in a line how long it took.
pub(super) fn size(
    entries: &mut [Entry],
    size: u32,
    effort: &Effort,
    measures_memory: bool,
    figures: &mut Figures,
) -> Result<String> {
    let start = Instant::now();
    for entry in &mut *entries {
        entry.grow_to(size)?;
        // The files get into the kernel's caches, and ours into the index.
        for operation in ROUND.iter().flat_map(|(operations, _)| *operations) {
            entry.run(*operation, 0)?;
        }
    }
    let prepared = start.elapsed();

    in_rounds(entries, size, effort, figures)?;
    for entry in &*entries {
        after_changes(entry, size, effort, figures)?;
        if measures_memory {
            peaks(entry, size, effort, figures)?;
        }
        entry.check()?;
    }
    Ok(format!(
        "{:>7} addresses in use: prepared in {}, measured in {}",
        units::count(size),
        time(prepared),
        time(start.elapsed() - prepared)
    ))
}

fn in_rounds(entries: &[Entry], size: u32, effort: &Effort, figures: &mut Figures) -> Result<()> {
    let mut parts = ROUND.map(|(operations, share)| {
        let pace = Pace::new(effort.rounds, effort.budget.mul_f64(share));
        (operations, vec![pace; entries.len()])
    });
    let mut samples: BTreeMap<_, Samples> = BTreeMap::new();
    for round in 0..effort.rounds {
        let order = order(round, entries.len());
        for (operations, paces) in &mut parts {
            let is_due = |index: &usize| paces.get(*index).is_some_and(|pace| pace.is_due(round));
            let due: Vec<usize> = order.iter().copied().filter(is_due).collect();
            for operation in *operations {
                for index in &due {
                    let (Some(entry), Some(pace)) = (entries.get(*index), paces.get_mut(*index))
                    else {
                        continue;
                    };
                    let elapsed = entry.run(*operation, round)?.elapsed;
                    pace.spend(elapsed);
                    let key = (*operation, entry.contender);
                    samples.entry(key).or_default().push(elapsed);
                }
            }
        }
    }
    for ((operation, contender), samples) in samples {
        if let Some(summary) = samples.summary() {
            figures.add_time(operation, contender, size, summary);
        }
    }
    Ok(())
}

fn after_changes(entry: &Entry, size: u32, effort: &Effort, figures: &mut Figures) -> Result<()> {
    let mut samples = Samples::default();
    let start = Instant::now();
    for round in 0..effort.changes {
        if start.elapsed() > effort.budget / 3 || !entry.change_from_outside()? {
            break;
        }
        samples.push(entry.run(Operation::AddAfterChange, round)?.elapsed);
        entry.run(Operation::Del, round)?;
    }
    if let Some(summary) = samples.summary() {
        figures.add_time(Operation::AddAfterChange, entry.contender, size, summary);
    }
    Ok(())
}

fn peaks(entry: &Entry, size: u32, effort: &Effort, figures: &mut Figures) -> Result<()> {
    let start = Instant::now();
    for round in 0..effort.peaks {
        if start.elapsed() > effort.budget / 3 {
            break;
        }
        let mut measure = |operation| -> Result<()> {
            let peak = memory::peak(&entry.call(operation, round))?;
            figures.add_peak(operation, entry.contender, size, peak);
            Ok(())
        };
        measure(Operation::Add)?;
        measure(Operation::Del)?;
        if entry.change_from_outside()? {
            measure(Operation::AddAfterChange)?;
            measure(Operation::Del)?;
        }
    }
    Ok(())
}
