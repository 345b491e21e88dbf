//! The environment variables that tell instrumented programs where to count which code has run.

use std::ffi::OsString;

const VARIABLE: &str = "LLVM_PROFILE_FILE";
/// Set by such a program for those that it starts.
const OF_PROGRAMS: &str = "__LLVM_PROFILE_";

/// Whether a variable is of no plugin's environment as far as tests are concerned.
pub(crate) fn has(name: &str) -> bool {
    name == VARIABLE || name.starts_with(OF_PROGRAMS)
}

/// The variable and its value, to be passed on to programs that otherwise get an environment of
/// their own.
#[must_use]
pub fn environment() -> Option<(&'static str, OsString)> {
    Some((VARIABLE, std::env::var_os(VARIABLE)?))
}
