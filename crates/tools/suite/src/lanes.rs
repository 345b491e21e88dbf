//! Parts side by side: much of what they do is waiting, for the kernel or for one long step of the
//! compiler.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use super::parts::Part;
use super::run::Verdict;

/// As many parts run at a time.
const LANES: usize = 2;

/// A part that was run.
pub(super) struct Done {
    pub(super) part: Part,
    pub(super) verdict: Verdict,
    pub(super) took: Duration,
}

/// Runs parts, each after those that it needs, and reports each when it is done.
pub(super) fn run(
    parts: &[Part],
    work: impl Fn(Part) -> Verdict + Sync,
    mut report: impl FnMut(&Done),
) -> Vec<Done> {
    let work = &work;
    let mut waiting = parts.to_vec();
    let mut running = 0;
    let mut came_out = BTreeMap::new();
    let mut all = Vec::new();
    thread::scope(|scope| {
        let (ended, ends) = channel();
        loop {
            let is_last = waiting.iter().all(|part| part.is_last());
            let is_done = |needed: &Part| came_out.contains_key(needed) || !parts.contains(needed);
            let can_run = |part: &Part| match part.is_last() {
                true => is_last && running == 0,
                false => part.needs().iter().all(is_done),
            };
            let next = waiting.iter().position(can_run).filter(|_| running < LANES);
            if let Some(next) = next {
                let part = waiting.remove(next);
                let mut needs = part.needs().iter();
                let failed = needs.find(|needed| came_out.get(*needed) == Some(&false));
                let ended = ended.clone();
                running += 1;
                scope.spawn(move || {
                    let begin = Instant::now();
                    let verdict = match failed {
                        Some(failed) => Verdict::without(*failed),
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
                came_out.insert(done.part, !matches!(done.verdict, Verdict::Failed(_)));
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

    /// In the order in which they ended, with whether they did well.
    fn run_all(parts: &[Part], work: impl Fn(Part) -> Verdict + Sync) -> Vec<(Part, bool)> {
        let done = run(parts, work, |_| {});
        let well = |done: Done| (done.part, matches!(done.verdict, Verdict::Ok(_)));
        done.into_iter().map(well).collect()
    }

    #[test]
    fn parts_wait_for_what_they_need() {
        let begun = Mutex::new(Vec::new());
        let ended = Mutex::new(Vec::new());
        let work = |part: Part| {
            begun.lock().unwrap().push(part);
            let ended_before = ended.lock().unwrap().clone();
            for needed in part.needs() {
                assert!(ended_before.contains(needed), "{part:?}: {ended_before:?}");
            }
            if part == Part::Tidy {
                assert_eq!(ended_before.len(), 4);
            }
            thread::sleep(Duration::from_millis(5));
            ended.lock().unwrap().push(part);
            Verdict::Ok(None)
        };
        let parts = [Part::Build, Part::Dist, Part::Vm, Part::Doc, Part::Tidy];
        let done = run_all(&parts, work);
        assert_eq!(done.len(), parts.len());
        assert!(done.iter().all(|(_, well)| *well));
        assert_eq!(begun.into_inner().unwrap().last(), Some(&Part::Tidy));
    }

    #[test]
    fn two_run_at_a_time() {
        let at_work = Mutex::new((0, 0));
        let work = |_: Part| {
            let enter = |lock: &mut (i32, i32)| {
                lock.0 += 1;
                lock.1 = lock.1.max(lock.0);
            };
            enter(&mut at_work.lock().unwrap());
            thread::sleep(Duration::from_millis(50));
            at_work.lock().unwrap().0 -= 1;
            Verdict::Ok(None)
        };
        run_all(&[Part::Fmt, Part::Dist, Part::Clippy, Part::Doc], work);
        assert_eq!(at_work.into_inner().unwrap(), (0, 2));
    }

    #[test]
    fn without_what_it_needs_a_part_is_not_run() {
        let work = |part: Part| match part {
            Part::Dist => Verdict::Failed("no".to_owned()),
            Part::Podman => panic!("it needs what has failed"),
            _ => Verdict::Ok(None),
        };
        let done = run_all(&[Part::Dist, Part::Podman], work);
        assert_eq!(done, [(Part::Dist, false), (Part::Podman, false)]);
    }
}
