//! Calls that are made together.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};

use super::orphans;
use crate::call::{Answer, Call, Timed};

/// Calls that succeeded.
#[derive(Debug)]
pub(super) struct Batch {
    /// From before the first call until the last one has ended.
    pub(super) elapsed: Duration,
    /// What processors worked for all of them, in user and in system mode: for their processes, those that these started
    /// and waited for, and those that they left behind.
    pub(super) processor: Duration,
    /// In the order of the calls.
    pub(super) calls: Vec<Timed>,
}

impl Batch {
    /// Makes calls, `at_a_time` of them as long as there are so many, and waits for what they leave behind. A failure, or another answer than this, is an error.
    ///
    /// No other process may be waited for meanwhile: the kernel tells what all took together.
    pub(super) fn run(calls: &[Call], answer: Answer, at_a_time: usize) -> Result<Self> {
        let next = AtomicUsize::new(0);
        let ready = Barrier::new(at_a_time + 1);
        let work = || -> Result<Vec<(usize, Timed)>> {
            ready.wait();
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(call) = calls.get(number) else {
                    return Ok(done);
                };
                done.push((number, call.run_for(answer)?));
            }
        };
        orphans::adopt()?;
        let before = processor_time()?;
        let (elapsed, results) = thread::scope(|scope| {
            let workers: Vec<_> = (0..at_a_time).map(|_| scope.spawn(work)).collect();
            ready.wait();
            let start = Instant::now();
            let results: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
            (start.elapsed(), results)
        });
        orphans::wait()?;
        let processor = processor_time()?.saturating_sub(before);
        let mut done = Vec::new();
        for result in results {
            done.extend(result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        done.sort_unstable_by_key(|(number, _)| *number);
        Ok(Self {
            elapsed,
            processor,
            calls: done.into_iter().map(|(_, timed)| timed).collect(),
        })
    }
}

/// What processors have worked for all children that were waited for, and for theirs.
fn processor_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let times = [usage.user_time(), usage.system_time()];
    Ok(times
        .map(|time| Duration::from_micros((time.tv_sec() * 1_000_000 + time.tv_usec()) as u64))
        .iter()
        .sum())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn script(text: &str) -> Call {
        Call {
            arguments: vec!["-c".to_owned(), text.to_owned()],
            ..Call::bare(Path::new("/bin/sh"))
        }
    }

    #[test]
    fn calls_are_made_at_the_same_time() {
        let calls = vec![script("sleep 0.2"); 8];
        let batch = Batch::run(&calls, Answer::Nothing, 4).unwrap();
        assert_eq!(batch.calls.len(), 8);
        let slept: Duration = batch.calls.iter().map(|call| call.elapsed).sum();
        assert!(
            batch.elapsed >= Duration::from_millis(400) && batch.elapsed < slept,
            "{batch:?}"
        );
    }

    #[test]
    fn the_work_of_grandchildren_counts() {
        let work = "/bin/sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; :";
        let batch = Batch::run(&[script(work)], Answer::Nothing, 1).unwrap();
        assert!(batch.processor >= Duration::from_millis(20), "{batch:?}");
    }

    #[test]
    fn answers_are_in_the_order_of_the_calls() {
        let result = |number| {
            let address = format!(r#"{{"ips":[{{"address":"10.0.0.{number}/24"}}]}}"#);
            script(&format!("sleep 0.0{}; echo '{address}'", 9 - number))
        };
        let calls: Vec<Call> = (1..9).map(result).collect();
        let batch = Batch::run(&calls, Answer::Address, 3).unwrap();
        for (number, call) in (1..9).zip(&batch.calls) {
            let text = String::from_utf8_lossy(&call.stdout);
            assert!(text.contains(&format!("10.0.0.{number}/")), "{text}");
        }
        let calls = [script("exit 0"), script("exit 3"), script("exit 0")];
        let error = Batch::run(&calls, Answer::Nothing, 2).unwrap_err();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }
}
