//! Invalid input gets one error that names the key, file or variable, and changes nothing.

#![allow(clippy::restriction, reason = "a test fails by panicking")]

#[path = "../support/desk.rs"]
mod desk;

mod delegate;
mod directory;
mod environment;
mod lease;
mod netns;
mod noise;
mod stdin;

use testkit::Invocation;

use crate::desk::Desk;

const COMMANDS: [&str; 3] = ["ADD", "CHECK", "DEL"];

/// The call fails with this code and message, prints nothing else, changes no file and does not
/// reach the delegate.
#[track_caller]
fn assert_refused(desk: &Desk, call: &Invocation, code: u64, message: &str) {
    let before = desk.listing();
    let calls = desk.delegate.calls().len();
    let outcome = call.run();
    let failure = outcome.failure();
    assert_eq!((failure.code, &*failure.msg), (code, message), "{outcome}");
    assert_eq!(outcome.stderr_text(), "");
    assert_eq!(desk.listing(), before, "{outcome}");
    assert_eq!(desk.delegate.calls().len(), calls, "{outcome}");
}
