//! Tests of locks.

use std::collections::HashSet;

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn open(path: &Path) -> File {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
}

/// All processes in the kernel's queue have the same chance. A process that polls is not in the
/// queue, and gets the lock only while nobody else waits.
#[test]
fn a_waiting_process_stands_in_the_kernels_queue() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("lock");
    let holder = open(&path);
    holder.lock().unwrap();
    thread::scope(|scope| {
        let own = scope.spawn(|| Lock::acquire(open(&path), &path, Limit::new(LONG)).map(drop));
        let give_up = Instant::now() + LONG / 2;
        // A read of /proc/locks may miss a process, or show it twice, while other locks come and
        // go.
        let mut in_queue = waiting(&path);
        while in_queue == 0 && Instant::now() < give_up {
            sleep(Duration::from_millis(1));
            in_queue = waiting(&path);
        }
        drop(holder);
        own.join().unwrap().unwrap();
        assert_eq!(in_queue, 1);
    });
}

#[test]
fn a_lock_that_arrives_after_the_timeout_is_released() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("lock");
    let holder = open(&path);
    holder.lock().unwrap();
    let acquire = |timeout| Lock::acquire(open(&path), &path, Limit::new(timeout));
    for timeout in [Duration::ZERO, Duration::from_millis(40)] {
        let started = Instant::now();
        let error = acquire(timeout).unwrap_err();
        assert!(started.elapsed() >= timeout);
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

/// The number of processes that wait for a file's lock, from `/proc/locks`.
fn waiting(path: &Path) -> usize {
    let inode = format!(":{}", path.metadata().unwrap().ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let waits = |line: &&str| line.contains("-> FLOCK") && line.contains(&inode);
    // Without the number at its start, a line that is shown twice is the same.
    let lines = locks.lines().filter(waits);
    let processes = lines.filter_map(|line| Some(line.split_once(": ")?.1));
    processes.collect::<HashSet<_>>().len()
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
            // A process that tries while the lock is free is faster than those that must be woken.
            while waiting(&path) <= OTHERS && !own.is_finished() {
                sleep(Duration::from_millis(1));
            }
            drop(first);
            own.join().unwrap().map(drop)
        });
        for mut other in others {
            assert!(other.wait().unwrap().success());
        }
        // On a busy machine the time may be over before the first lock is released, or just when
        // nobody is seen to hold it.
        let Err(error) = acquired else { continue };
        let StateError::Locked {
            moves_on: true,
            holder: Some(_),
            ..
        } = &error
        else {
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

#[test]
fn parts_without_a_holder_do_not_count_as_a_change_of_hands() {
    for stuck in [
        &[][..],
        &[None, None],
        &[Some(7)],
        &[Some(7), None, Some(7), Some(7)],
        &[None, Some(7), Some(7), None],
    ] {
        assert!(!changes_hands(stuck), "{stuck:?}");
    }
    for moving in [&[Some(7), Some(8)][..], &[Some(7), None, Some(8), None]] {
        assert!(changes_hands(moving), "{moving:?}");
    }
}
