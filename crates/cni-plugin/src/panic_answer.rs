//! What a runtime gets when a plugin, or a library in it, panics: the one JSON error that every
//! failure gets.

use std::panic;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use cni_types::{Code, Error, Version};

use crate::dispatch::failure;
use crate::streams;

/// The version of the call's configuration, once that has been parsed.
static VERSION: OnceLock<Version> = OnceLock::new();

/// Whether the answer has begun: there must not be a second one.
static IS_ANSWERED: AtomicBool = AtomicBool::new(false);

/// From now on, a panic in any thread is answered on standard output and ends the process with exit
/// status 1. Nothing is undone: what a killed plugin leaves is what the runtime's DEL removes.
pub(crate) fn arm(plugin: &'static str) {
    panic::set_hook(Box::new(move |info| {
        if begin() {
            let place = info.location().map(|place| format!(" at {place}"));
            let error = Error::new(
                Code::INTERNAL,
                format!(
                    "{plugin}: a bug in the program{}: {}: report it; DEL removes what is left of \
                        this call",
                    place.unwrap_or_default(),
                    info.payload_as_str().unwrap_or("a panic without a message")
                ),
            );
            let version = VERSION.get().copied().unwrap_or(Version::LATEST);
            let answer = failure(&error, version).stdout;
            // Nobody may be listening any more, and there is nobody else to report that to.
            let _ = streams::write_all(std::io::stdout(), answer.as_bytes());
        }
        #[allow(
            clippy::disallowed_methods,
            clippy::exit,
            reason = "part of `main`: release builds would abort"
        )]
        process::exit(1);
    }));
}

/// Sets the version to answer in: that of the runtime's call, which is the first one.
pub(crate) fn answer_in(version: Version) {
    let _ = VERSION.set(version);
}

/// Whether it is up to the caller to answer: it is for the first one only.
pub(crate) fn begin() -> bool {
    !IS_ANSWERED.swap(true, Ordering::SeqCst)
}
