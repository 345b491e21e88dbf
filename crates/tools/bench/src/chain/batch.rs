//! Calls that are made together.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};

use super::orphans;
use crate::call::{ProgramCall, Timed};

/// Calls that succeeded.
#[derive(Debug)]
pub(super) struct Batch {
    /// From before the first call until the last one has ended.
    pub(super) elapsed: Duration,
    /// The processor time of all processes that the calls started or left behind, in user and in
    /// system mode.
    pub(super) processor: Duration,
    /// In the order of the calls.
    pub(super) calls: Vec<Timed>,
}

impl Batch {
    /// Makes calls, `at_a_time` of them as long as there are so many, and waits for what they leave
    /// behind.
    ///
    /// No other process may be waited for meanwhile, because the kernel only reports the sum.
    pub(super) fn run(calls: &[ProgramCall], at_a_time: usize) -> Result<Self> {
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
                done.push((number, call.run()?));
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
        let calls = done.into_iter().map(|(_, timed)| timed).collect();
        Ok(Self {
            elapsed,
            processor,
            calls,
        })
    }
}

/// The processor time of all children that were waited for, and of theirs.
fn processor_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let times = [usage.user_time(), usage.system_time()];
    let microseconds = times.map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    Ok(Duration::from_micros(
        microseconds.iter().sum::<i64>().unsigned_abs(),
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn script(text: &str) -> ProgramCall {
        let arguments = vec!["-c".to_owned(), text.to_owned()];
        ProgramCall {
            arguments,
            ..ProgramCall::bare(Path::new("/bin/sh"))
        }
    }

    #[test]
    fn calls_are_made_at_the_same_time() {
        let batch = Batch::run(&vec![script("sleep 0.2"); 8], 4).unwrap();
        assert_eq!(batch.calls.len(), 8);
        let slept: Duration = batch.calls.iter().map(|call| call.elapsed).sum();
        let elapsed = batch.elapsed;
        assert!(
            elapsed >= Duration::from_millis(400) && elapsed < slept,
            "{batch:?}"
        );
    }

    #[test]
    fn the_work_of_grandchildren_counts() {
        let work = "/bin/sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; :";
        let batch = Batch::run(&[script(work)], 1).unwrap();
        assert!(batch.processor >= Duration::from_millis(20), "{batch:?}");
    }

    #[test]
    fn answers_are_in_the_order_of_the_calls() {
        let calls = (1..9).map(|number| {
            let address = format!(r#"{{"ips":[{{"address":"10.0.0.{number}/24"}}]}}"#);
            let call = script(&format!("sleep 0.0{}; echo '{address}'", 9 - number));
            ProgramCall {
                answers: true,
                ..call
            }
        });
        let batch = Batch::run(&calls.collect::<Vec<_>>(), 3).unwrap();
        for (number, call) in (1..9).zip(&batch.calls) {
            let text = String::from_utf8_lossy(&call.stdout);
            assert!(text.contains(&format!("10.0.0.{number}/")), "{text}");
        }
        let error = Batch::run(&[script("exit 0"), script("exit 3")], 2).unwrap_err();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }
}
