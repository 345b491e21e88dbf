use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn open(path: &Path) -> File {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
}

#[test]
fn who_waits_is_not_passed_over_by_those_that_wait_in_the_kernel() {
    const OTHERS: u32 = 8;
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("lock");
    let (done, granted) = (AtomicBool::new(false), AtomicU32::new(0));
    let first = open(&path);
    first.lock().unwrap();
    thread::scope(|scope| {
        for _ in 0..OTHERS {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) && granted.load(Ordering::SeqCst) < 2000 {
                    let file = open(&path);
                    file.lock().unwrap();
                    granted.fetch_add(1, Ordering::SeqCst);
                    sleep(Duration::from_millis(1));
                }
            });
        }
        let own = scope.spawn(|| {
            let before = granted.load(Ordering::SeqCst);
            let lock = Lock::acquire(open(&path), &path, Limit::new(LONG)).unwrap();
            done.store(true, Ordering::SeqCst);
            drop(lock);
            granted.load(Ordering::SeqCst) - before
        });
        // All stand in the queue before it moves.
        while waiting(&path) <= OTHERS as usize {
            sleep(Duration::from_millis(1));
        }
        drop(first);
        let before_us = own.join().unwrap();
        // The kernel wakes all that wait, and the first to run gets the lock: each has the same chance each time. One that
        // polls gets it only when nobody waits, which is mostly after hundreds.
        assert!(before_us <= 25 * OTHERS, "{before_us}");
    });
}

#[test]
fn a_lock_that_is_waited_for_too_long_is_not_kept() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("lock");
    let holder = open(&path);
    holder.lock().unwrap();
    let acquire = |patience| Lock::acquire(open(&path), &path, Limit::new(patience));
    for patience in [Duration::ZERO, Duration::from_millis(40)] {
        let started = Instant::now();
        let error = acquire(patience).unwrap_err();
        assert!(started.elapsed() >= patience);
        assert!(
            matches!(
                error,
                StateError::Locked {
                    moves_on: false,
                    holder: Some(holder),
                    ..
                } if holder == std::process::id()
            ),
            "{error:?}"
        );
    }
    drop(holder);
    drop(acquire(LONG).unwrap());
    drop(acquire(Duration::MAX).unwrap());
}

/// How many wait for a file's lock, from `/proc/locks`.
fn waiting(path: &Path) -> usize {
    let inode = format!(":{}", path.metadata().unwrap().ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let waits = |line: &&str| line.contains("-> FLOCK") && line.contains(&inode);
    locks.lines().filter(waits).count()
}

#[test]
fn a_lock_that_changes_hands_moves_on() {
    const OTHERS: usize = 7;
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("lock");
    for _ in 0..50 {
        let first = open(&path);
        first.lock().unwrap();
        let start = |_| {
            let mut flock = std::process::Command::new("flock");
            flock.arg(&path).args(["sleep", "0.05"]).spawn().unwrap()
        };
        let others: Vec<_> = (0..OTHERS).map(start).collect();
        while waiting(&path) < OTHERS {
            sleep(Duration::from_millis(1));
        }
        let limit = Limit::new(Duration::from_millis(200));
        let acquired = thread::scope(|scope| {
            let own = scope.spawn(|| Lock::acquire(open(&path), &path, limit));
            // Who tries while it is free is faster than those that have to be woken.
            while waiting(&path) <= OTHERS && !own.is_finished() {
                sleep(Duration::from_millis(1));
            }
            drop(first);
            own.join().unwrap().map(drop)
        });
        for mut other in others {
            assert!(other.wait().unwrap().success());
        }
        // On a busy machine the time may be over before the first lock is released.
        let Err(error @ StateError::Locked { moves_on: true, .. }) = acquired else {
            continue;
        };
        let message = error.to_string();
        assert!(
            message.contains("is locked by one process after another, now by process ")
                && message.ends_with(" for more than 0.2 s: wait for them to end their work"),
            "{message}"
        );
        return;
    }
    panic!("nobody has seen the lock move on");
}
