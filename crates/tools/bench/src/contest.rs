//! Contenders that take turns, because a machine has good and bad seconds.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use testkit::Node;

use crate::call::ProgramCall;
use crate::figures::Figures;
use crate::{memory, system_calls};

/// The contender that does nothing, whatever it is called with.
pub(crate) const EMPTY: &str = "empty program";

/// A contender with its program and state of its own.
pub(crate) trait Entrant {
    fn contender(&self) -> &'static str;

    /// How many of what the subject counts there are.
    fn size(&self) -> u32;

    /// The call of an operation for the attachment of a round.
    fn call(&self, operation: &'static str, round: usize) -> ProgramCall;

    /// The node on which it makes its calls; `None` for the machine itself.
    fn node(&self) -> Option<&Node> {
        None
    }

    /// What must happen before an operation; false if the operation is not for this contender, or
    /// not in this round.
    fn before(&self, _operation: &str, _round: usize) -> Result<bool> {
        Ok(true)
    }

    /// What must happen after an operation, to leave all as it was before the round.
    fn after(&self, _operation: &str, _round: usize) -> Result<()> {
        Ok(())
    }

    /// An error unless the calls have left all as it was.
    fn check(&self) -> Result<()>;

    /// Makes the call and returns what was measured.
    fn measure(
        &self,
        operation: &'static str,
        round: usize,
    ) -> Result<Vec<(&'static str, Duration)>> {
        let call = self.call(operation, round);
        Ok(vec![(
            operation,
            run_on(self.node(), || call.run())?.elapsed,
        )])
    }

    /// Makes the call and looks at something else than its time.
    fn look(&self, look: Look, operation: &'static str, round: usize) -> Result<u64> {
        let call = self.call(operation, round);
        run_on(self.node(), || look.at(&call))
    }
}

fn run_on<T: Send>(node: Option<&Node>, run: impl FnOnce() -> T + Send) -> T {
    match node {
        Some(node) => node.enter(run),
        None => run(),
    }
}

/// What is measured of a call beside its time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Look {
    Memory,
    SystemCalls,
}

impl Look {
    /// Makes a call; the processes that it starts count too.
    pub(crate) fn at(self, call: &ProgramCall) -> Result<u64> {
        match self {
            Self::Memory => memory::peak(call, true),
            Self::SystemCalls => system_calls::count(call),
        }
    }
}

/// What the entrants do.
pub(crate) struct Contest<'a> {
    /// The operations of a round, which leaves everything as it was.
    pub(crate) round: &'a [&'static str],
    pub(crate) rounds: usize,
    /// The time that an entrant's calls may take together.
    pub(crate) budget: Duration,
    pub(crate) looks: &'a [Look],
    /// How often each look is taken.
    pub(crate) look_rounds: usize,
}

impl Contest<'_> {
    /// Measures, and prints a line with this label.
    pub(crate) fn run(
        &self,
        label: &str,
        entrants: &[impl Entrant],
        figures: &mut Figures,
    ) -> Result<()> {
        let start = Instant::now();
        // The first round fills caches and builds indexes.
        for entrant in entrants {
            self.each(entrant, 0, |operation| {
                entrant.measure(operation, 0).map(drop)
            })?;
        }
        let mut spent = vec![Duration::ZERO; entrants.len()];
        for round in 0..self.rounds {
            let order = order(round, entrants.len());
            let is_due = |index: &usize| {
                let share = round as f64 / self.rounds as f64;
                spent
                    .get(*index)
                    .is_some_and(|spent| *spent <= self.budget.mul_f64(share))
            };
            let due: Vec<usize> = order.into_iter().filter(is_due).collect();
            for operation in self.round {
                for index in &due {
                    let (Some(entrant), Some(spent)) =
                        (entrants.get(*index), spent.get_mut(*index))
                    else {
                        continue;
                    };
                    let before = Instant::now();
                    perform(entrant, operation, round, |operation| {
                        for (what, time) in entrant.measure(operation, round)? {
                            figures.add_time((what, entrant.contender(), entrant.size()), time);
                        }
                        Ok(())
                    })?;
                    *spent += before.elapsed();
                }
            }
        }
        for entrant in entrants {
            for look in self.looks {
                for round in 0..self.look_rounds {
                    self.each(entrant, round, |operation| {
                        let number = entrant.look(*look, operation, round)?;
                        let key = (operation, entrant.contender(), entrant.size());
                        match look {
                            Look::Memory => figures.add_memory(key, number),
                            Look::SystemCalls => figures.add_system_calls(key, number),
                        }
                        Ok(())
                    })?;
                }
            }
            entrant.check()?;
        }
        println!("{label}: {:.1?}", start.elapsed());
        Ok(())
    }

    fn each(
        &self,
        entrant: &impl Entrant,
        round: usize,
        mut work: impl FnMut(&'static str) -> Result<()>,
    ) -> Result<()> {
        self.round
            .iter()
            .try_for_each(|operation| perform(entrant, operation, round, &mut work))
    }
}

fn perform(
    entrant: &impl Entrant,
    operation: &'static str,
    round: usize,
    work: impl FnOnce(&'static str) -> Result<()>,
) -> Result<()> {
    let perform = || -> Result<()> {
        if entrant.before(operation, round)? {
            work(operation)?;
            entrant.after(operation, round)?;
        }
        Ok(())
    };
    perform().with_context(|| entrant.contender())
}

/// The order of a round among `count` contenders (a Williams design).
///
/// Over `count` rounds (twice as many if that is odd) each contender has every place equally often
/// and follows every other equally often, because one that fills the processor's caches slows the
/// next one down.
fn order(round: usize, count: usize) -> Vec<usize> {
    let zigzag = (0..count).map(|place| match place % 2 {
        0 => place / 2,
        _ => count - 1 - place / 2,
    });
    let mut order: Vec<usize> = zigzag.map(|offset| (offset + round) % count).collect();
    if count % 2 == 1 && round / count % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn everybody_follows_everybody_equally_often() {
        for count in 1..8 {
            let rounds = if count % 2 == 0 { count } else { 2 * count };
            let (mut places, mut pairs) = (BTreeMap::new(), BTreeMap::new());
            for round in 0..rounds {
                let order = order(round, count);
                for place in order.iter().copied().enumerate() {
                    *places.entry(place).or_insert(0) += 1;
                }
                for pair in order.windows(2) {
                    *pairs.entry((pair[0], pair[1])).or_insert(0) += 1;
                }
            }
            assert_eq!(
                (places.len(), pairs.len()),
                (count * count, count * (count - 1))
            );
            let mut all = places.values().chain(pairs.values());
            assert!(all.all(|times| *times == rounds / count), "{count}");
        }
    }

    struct Fake {
        name: &'static str,
        takes: Duration,
        works: bool,
        balance: Cell<i32>,
    }

    impl Entrant for Fake {
        fn contender(&self) -> &'static str {
            self.name
        }

        fn size(&self) -> u32 {
            7
        }

        fn call(&self, _: &'static str, _: usize) -> ProgramCall {
            ProgramCall::bare(std::path::Path::new(if self.works {
                "/bin/true"
            } else {
                "/bin/false"
            }))
        }

        fn before(&self, operation: &str, round: usize) -> Result<bool> {
            Ok(operation != "rare" || round.is_multiple_of(3))
        }

        fn after(&self, operation: &str, _: usize) -> Result<()> {
            self.balance
                .set(self.balance.get() + if operation == "ADD" { 1 } else { -1 });
            std::thread::sleep(self.takes);
            Ok(())
        }

        fn check(&self) -> Result<()> {
            anyhow::ensure!(self.balance.get() == 0, "not as before");
            Ok(())
        }

        fn look(&self, _: Look, _: &'static str, round: usize) -> Result<u64> {
            Ok(round as u64)
        }
    }

    fn run(fakes: &[Fake], round: &[&'static str]) -> Result<Figures> {
        let mut figures = Figures::default();
        let budget = Duration::from_millis(400);
        let contest = Contest {
            round,
            rounds: 6,
            budget,
            looks: &[Look::Memory],
            look_rounds: 3,
        };
        contest.run("all", fakes, &mut figures).map(|()| figures)
    }

    fn fake(name: &'static str, takes: u64, works: bool) -> Fake {
        Fake {
            name,
            takes: Duration::from_millis(takes),
            works,
            balance: Cell::new(0),
        }
    }

    #[test]
    fn everybody_makes_every_call_and_the_slow_fewer() {
        let figures = run(&[fake("a", 0, true), fake("b", 200, true)], &["ADD", "DEL"]).unwrap();
        let count = |contender| figures.time(("ADD", contender, 7)).unwrap().count;
        assert!(count("a") > count("b"), "{} {}", count("a"), count("b"));
        assert_eq!(figures.peak("a"), Some(2));
    }

    #[test]
    fn a_failed_call_and_a_leak_end_it() {
        let error = format!("{:#}", run(&[fake("a", 0, false)], &["ADD"]).unwrap_err());
        assert!(
            error.starts_with("a: /bin/false : exit status: 1"),
            "{error}"
        );
        let error = run(&[fake("a", 0, true)], &["ADD"]).unwrap_err();
        assert_eq!(error.to_string(), "not as before");
    }
}
