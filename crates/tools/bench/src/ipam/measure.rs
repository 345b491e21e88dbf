//! What is measured beside the rounds.

use std::time::Instant;

use anyhow::Result;

use super::Figures;
use super::contender::{Entry, Operation};
use super::effort::Effort;
use crate::contest::{Contest, Entrant};
use crate::stats::Samples;

/// The rounds. The address that is given is taken back, so that as many are in use as before.
pub(super) fn contest(effort: &Effort) -> Contest<Operation> {
    Contest {
        round: &[
            (&[Operation::Add, Operation::Del], 0.75),
            (&[Operation::DelOfNothing], 0.25),
        ],
        rounds: effort.rounds,
        budget: effort.budget,
    }
}

/// The first call after each foreign change.
pub(super) fn after_changes(entry: &Entry, effort: &Effort, figures: &mut Figures) -> Result<()> {
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
        figures.add_time(
            Operation::AddAfterChange,
            entry.contender(),
            entry.size(),
            summary,
        );
    }
    Ok(())
}

/// The peak memory of each call.
pub(super) fn peaks(entry: &Entry, effort: &Effort, figures: &mut Figures) -> Result<()> {
    let start = Instant::now();
    for round in 0..effort.peaks {
        if start.elapsed() > effort.budget / 3 {
            break;
        }
        let mut measure = |operation| entry.run_for_peak(operation, round, figures);
        measure(Operation::Add)?;
        measure(Operation::Del)?;
        if entry.change_from_outside()? {
            measure(Operation::AddAfterChange)?;
            measure(Operation::Del)?;
        }
    }
    Ok(())
}
