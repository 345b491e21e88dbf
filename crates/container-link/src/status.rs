//! The error of STATUS.

use cni_types::{Code, Error};

/// STATUS: why an ADD cannot succeed now.
pub fn not_ready(cause: impl Into<Error>) -> Error {
    Error {
        code: Code::NOT_AVAILABLE,
        ..cause.into()
    }
}
