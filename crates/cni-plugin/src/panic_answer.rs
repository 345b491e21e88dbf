//! The answer to a panic in a plugin or in a library: one JSON error, as for any other failure.

use std::panic;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use cni_types::{Code, Error, Version};

use crate::dispatch::failure;
use crate::streams;

/// The version of the call's configuration, once the configuration has been parsed.
static VERSION: OnceLock<Version> = OnceLock::new();

/// Whether the right to write the answer is claimed. There must not be a second answer.
static IS_ANSWERED: AtomicBool = AtomicBool::new(false);

/// Installs the panic hook: a panic in any thread writes the answer to standard output and ends the
/// process with exit status 1. Like a kill, a panic rolls nothing back; the runtime's DEL cleans
/// up.
pub(crate) fn arm(plugin: &'static str) {
    panic::set_hook(Box::new(move |info| {
        if claim() {
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
            // A failure cannot be reported to anyone else.
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

/// Sets the `cniVersion` of the error. The first call wins: the runtime's, before those of
/// in-process delegates.
pub(crate) fn answer_in(version: Version) {
    let _ = VERSION.set(version);
}

/// Claims the right to write the answer; true for the first caller only.
pub(crate) fn claim() -> bool {
    !IS_ANSWERED.swap(true, Ordering::SeqCst)
}
