//! Parts side by side: much of their time is waiting, for the kernel or for one long step of the
//! compiler.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use super::parts::{LAST, Part};

/// As many parts run at a time: with two, two processors would often have nothing to do.
const LANES: usize = 3;

/// What came of a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is well; perhaps there is something to say of it.
    Passed(String),
    /// It was not run, for this reason.
    Skipped(String),
    /// It failed; this is what it printed.
    Failed(String),
}

/// A part that was run.
pub(super) struct Done {
    pub(super) part: &'static Part,
    pub(super) verdict: Verdict,
    pub(super) took: Duration,
}

/// Runs parts, each after those that it needs, and reports each when it is done.
pub(super) fn run(
    parts: &[&'static Part],
    work: impl Fn(&Part) -> Verdict + Sync,
    mut report: impl FnMut(&Done),
) -> Vec<Done> {
    let work = &work;
    let mut waiting = parts.to_vec();
    let mut running = 0;
    // Whether a part was well.
    let mut came_out = BTreeMap::new();
    let mut all = Vec::new();
    thread::scope(|scope| {
        let (ended, ends) = channel();
        loop {
            let is_chosen = |name: &str| parts.iter().any(|part| part.name == name);
            let is_done = |name: &&str| came_out.contains_key(name) || !is_chosen(name);
            let can_run = |part: &&Part| match part.name {
                LAST => waiting.len() == 1 && running == 0,
                _ => part.needs.iter().all(is_done),
            };
            let next = waiting.iter().position(can_run).filter(|_| running < LANES);
            if let Some(next) = next {
                let part = waiting.remove(next);
                let mut needs = part.needs.iter();
                let failed = needs.find(|needed| came_out.get(**needed) == Some(&false));
                let ended = ended.clone();
                running += 1;
                scope.spawn(move || {
                    let begin = Instant::now();
                    let verdict = match failed {
                        Some(name) => Verdict::Failed(format!("not run, as `{name}` has failed")),
                        None => work(part),
                    };
                    let took = begin.elapsed();
                    // The receiver waits for it.
                    drop(ended.send(Done {
                        part,
                        verdict,
                        took,
                    }));
                });
            } else if running > 0 {
                let Ok(done) = ends.recv() else { break };
                running -= 1;
                report(&done);
                came_out.insert(done.part.name, !matches!(done.verdict, Verdict::Failed(_)));
                all.push(done);
            } else {
                break;
            }
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::parts::named;

    /// In the order in which they ended, with whether they passed.
    fn run_all(
        parts: &[&str],
        work: impl Fn(&Part) -> Verdict + Sync,
    ) -> Vec<(&'static str, bool)> {
        let parts: Vec<_> = parts.iter().map(|name| named(name).unwrap()).collect();
        let done = run(&parts, work, |_| {});
        let passed = |done: Done| (done.part.name, matches!(done.verdict, Verdict::Passed(_)));
        done.into_iter().map(passed).collect()
    }

    #[test]
    fn parts_wait_for_what_they_need() {
        let ended = Mutex::new(Vec::new());
        let work = |part: &Part| {
            let ended_before = ended.lock().unwrap().clone();
            for needed in part.needs {
                assert!(
                    ended_before.contains(needed),
                    "{}: {ended_before:?}",
                    part.name
                );
            }
            if part.name == LAST {
                assert_eq!(ended_before.len(), 4);
            }
            thread::sleep(Duration::from_millis(5));
            ended.lock().unwrap().push(part.name);
            Verdict::Passed(String::new())
        };
        let done = run_all(&["build", "dist", LAST, "vm", "doc"], work);
        assert_eq!(done.len(), 5);
        assert!(done.iter().all(|(_, passed)| *passed));
        assert_eq!(done.last(), Some(&(LAST, true)));
    }

    #[test]
    fn three_run_at_a_time() {
        let at_work = Mutex::new((0, 0));
        let work = |_: &Part| {
            let enter = |lock: &mut (i32, i32)| {
                lock.0 += 1;
                lock.1 = lock.1.max(lock.0);
            };
            enter(&mut at_work.lock().unwrap());
            thread::sleep(Duration::from_millis(50));
            at_work.lock().unwrap().0 -= 1;
            Verdict::Passed(String::new())
        };
        run_all(&["fmt", "dist", "clippy", "doc"], work);
        assert_eq!(at_work.into_inner().unwrap(), (0, 3));
    }

    #[test]
    fn without_what_it_needs_a_part_is_not_run() {
        let work = |part: &Part| match part.name {
            "dist" => Verdict::Failed("no".to_owned()),
            "podman" => panic!("it needs what has failed"),
            _ => Verdict::Passed(String::new()),
        };
        let done = run_all(&["dist", "podman"], work);
        assert_eq!(done, [("dist", false), ("podman", false)]);
    }
}
