//! Contenders that take turns.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::call::{Answer, Call, Timed};
use super::figures::Figures;
use super::memory;
use super::rounds::{Pace, order};
use super::stats::Samples;
use xtask::terminal::{Ink, Terminal, time};

/// A contender with its program and state of its own, of some size.
pub(super) trait Entrant {
    /// What is measured.
    type Operation: Copy + Ord;
    /// Who is measured.
    type Contender: Copy + Ord + ToString;

    fn contender(&self) -> Self::Contender;

    /// How many of what is counted there are to be, on behalf of other containers than those that calls are for.
    fn size(&self) -> u32;

    /// Sees to it that there are that many; there were no more before.
    fn prepare(&mut self) -> Result<()>;

    /// An error unless the calls have left as many.
    fn check(&self) -> Result<()>;

    /// The call for the attachment of a round.
    fn call(&self, operation: Self::Operation, round: usize) -> Call;

    /// What that call is to print.
    fn answer(&self, operation: Self::Operation) -> Answer;

    /// Makes the call; an error unless the answer makes sense.
    fn run(&self, operation: Self::Operation, round: usize) -> Result<Timed> {
        let timed = self.call(operation, round).run_for(self.answer(operation));
        timed.with_context(|| self.contender().to_string())
    }

    /// Makes the call and tells what was measured.
    fn measure(
        &self,
        operation: Self::Operation,
        round: usize,
    ) -> Result<Vec<(Self::Operation, Duration)>> {
        Ok(vec![(operation, self.run(operation, round)?.elapsed)])
    }

    /// Makes the call and notes its peak memory.
    fn run_for_peak(
        &self,
        operation: Self::Operation,
        round: usize,
        figures: &mut Figures<Self::Operation, Self::Contender>,
    ) -> Result<()> {
        let peak = memory::peak(&self.call(operation, round))?;
        figures.add_peak(operation, self.contender(), self.size(), peak);
        Ok(())
    }
}

/// What the entrants do.
#[derive(Clone, Debug)]
pub(super) struct Contest<O: 'static> {
    /// What a round consists of, and the share of the time that each part may take. It leaves everything as it was.
    pub(super) round: &'static [(&'static [O], f64)],
    /// How many rounds there are.
    pub(super) rounds: usize,
    /// How long an entrant's calls may take together.
    pub(super) budget: Duration,
}

impl<O: Copy + Ord> Contest<O> {
    /// Measures, and does with each entrant what follows the rounds. A line with this label tells how long it took.
    pub(super) fn run<E: Entrant<Operation = O>>(
        &self,
        label: &str,
        terminal: &mut Terminal,
        entrants: &mut [E],
        figures: &mut Figures<O, E::Contender>,
        afterwards: impl Fn(&E, &mut Figures<O, E::Contender>) -> Result<()>,
    ) -> Result<()> {
        let start = Instant::now();
        for entrant in &mut *entrants {
            entrant.prepare()?;
            // The files get into the kernel's caches, and ours into the index.
            for operation in self.round.iter().flat_map(|(operations, _)| *operations) {
                entrant.run(*operation, 0)?;
            }
        }
        let prepared = start.elapsed();

        self.in_rounds(entrants, figures)?;
        for entrant in &*entrants {
            afterwards(entrant, figures)?;
            entrant.check()?;
        }
        let measured = time(start.elapsed() - prepared);
        let told = format!(
            "{label}: prepared in {}, measured in {measured}",
            time(prepared)
        );
        let told = terminal.ink(Ink::Dim, told);
        terminal.line(told);
        Ok(())
    }

    fn in_rounds<E: Entrant<Operation = O>>(
        &self,
        entrants: &[E],
        figures: &mut Figures<O, E::Contender>,
    ) -> Result<()> {
        let parts = self.round.iter().map(|(operations, share)| {
            let pace = Pace::new(self.rounds, self.budget.mul_f64(*share));
            (*operations, vec![pace; entrants.len()])
        });
        let mut parts: Vec<_> = parts.collect();
        let mut samples: BTreeMap<_, Samples> = BTreeMap::new();
        for round in 0..self.rounds {
            let order = order(round, entrants.len());
            for (operations, paces) in &mut parts {
                let is_due =
                    |index: &usize| paces.get(*index).is_some_and(|pace| pace.is_due(round));
                let due: Vec<usize> = order.iter().copied().filter(is_due).collect();
                for operation in *operations {
                    for index in &due {
                        let (Some(entrant), Some(pace)) =
                            (entrants.get(*index), paces.get_mut(*index))
                        else {
                            continue;
                        };
                        let start = Instant::now();
                        for (operation, time) in entrant.measure(*operation, round)? {
                            let key = (operation, entrant.contender(), entrant.size());
                            samples.entry(key).or_default().push(time);
                        }
                        pace.spend(start.elapsed());
                    }
                }
            }
        }
        for ((operation, contender, size), samples) in samples {
            if let Some(summary) = samples.summary() {
                figures.add_time(operation, contender, size, summary);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as asked, and may have lost count.
    struct Fake {
        name: &'static str,
        size: u32,
        there: u32,
    }

    impl Entrant for Fake {
        type Operation = &'static str;
        type Contender = &'static str;

        fn contender(&self) -> &'static str {
            self.name
        }

        fn size(&self) -> u32 {
            self.size
        }

        fn prepare(&mut self) -> Result<()> {
            self.there += self.size;
            Ok(())
        }

        fn check(&self) -> Result<()> {
            anyhow::ensure!(self.there == self.size, "{} instead", self.there);
            Ok(())
        }

        fn call(&self, operation: &'static str, _round: usize) -> Call {
            let call = Call::bare("/bin/sh".as_ref()).with("CNI_COMMAND", operation);
            let stdin = format!("test {} = {}", self.there, self.size);
            Call { stdin, ..call }
        }

        fn answer(&self, _operation: &'static str) -> Answer {
            Answer::Nothing
        }
    }

    fn run(there: u32) -> Result<Figures<&'static str, &'static str>> {
        let contest = Contest {
            round: &[(&["ADD", "DEL"], 0.5), (&["CHECK"], 0.5)],
            rounds: 6,
            budget: Duration::from_secs(60),
        };
        let fake = |name, size, there| Fake { name, size, there };
        let mut entrants = [fake("a", 0, 0), fake("b", 0, 0), fake("b", 7, there)];
        let mut figures = Figures::default();
        let mut terminal = Terminal::to(std::io::sink());
        let peak = |fake: &Fake, figures: &mut Figures<_, _>| {
            figures.add_peak("ADD", fake.name, fake.size, 5);
            Ok(())
        };
        contest.run("all", &mut terminal, &mut entrants, &mut figures, peak)?;
        Ok(figures)
    }

    #[test]
    fn everybody_makes_every_call_in_every_round() {
        let figures = run(0).unwrap();
        for operation in ["ADD", "DEL", "CHECK"] {
            for (name, size) in [("a", 0), ("b", 0), ("b", 7)] {
                assert_eq!(figures.time(operation, name, size).unwrap().count, 6);
            }
        }
        assert_eq!(figures.time("ADD", "a", 7), None);
        assert_eq!(figures.peak(&["ADD"], "b", 7), Some(5));
    }

    #[test]
    fn a_failed_call_ends_it() {
        let error = format!("{:#}", run(1).unwrap_err());
        assert!(
            error.starts_with("b: /bin/sh ADD: exit status: 1"),
            "{error}"
        );
    }
}
