//! The calls of the scripted delegate, and its processes.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use testkit::RecordedCall;

use crate::desk::Desk;

/// The commands that the delegate was called with.
pub(crate) fn commands(desk: &Desk) -> Vec<String> {
    let calls = desk.delegate.calls().into_iter();
    calls.map(|call| call.command).collect()
}

/// The delegate's last call.
#[track_caller]
pub(crate) fn last_call(desk: &Desk) -> RecordedCall {
    desk.delegate.calls().pop().unwrap()
}

/// Waits for a condition that is about to become true.
#[track_caller]
pub(crate) fn wait_until(what: &str, limit: Duration, condition: impl Fn() -> bool) {
    let until = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < until, "not in {limit:?}: {what}");
        sleep(Duration::from_millis(1));
    }
}

/// Waits until the delegate's call of this number, from 0 on, has read its input.
#[track_caller]
pub(crate) fn wait_for_call(desk: &Desk, number: usize) -> RecordedCall {
    let call = || desk.delegate.calls().into_iter().nth(number);
    wait_until("the delegate is called", Duration::from_secs(20), || {
        call().is_some_and(|call| !call.stdin.is_empty())
    });
    call().unwrap()
}

/// Whether a process exists and has not ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    // The state comes after the name, which may contain any character.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}
