//! The error of a call, and its code.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Version;

/// The number that identifies the kind of an error (CNI specification, "Section 5: error").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(pub u32);

impl Code {
    /// The configuration's `cniVersion` is not supported, or does not have the command.
    pub const INCOMPATIBLE_VERSION: Code = Code(1);
    /// The node does not support a key of the configuration, or its value; the message names both.
    pub const UNSUPPORTED_FIELD: Code = Code(2);
    /// The environment variables of the call are missing or invalid.
    pub const INVALID_ENVIRONMENT: Code = Code(4);
    /// Reading or writing failed.
    pub const IO_FAILURE: Code = Code(5);
    /// A configuration, a state file or a delegate's reply could not be decoded.
    pub const DECODING_FAILURE: Code = Code(6);
    /// The configuration can be decoded, but is invalid.
    pub const INVALID_NETWORK_CONFIG: Code = Code(7);
    /// The network namespace cannot be used.
    pub const INVALID_NETNS: Code = Code(8);
    /// A transient condition: the runtime should try again later.
    pub const TRY_AGAIN_LATER: Code = Code(11);
    /// STATUS: the plugin cannot serve an ADD.
    pub const NOT_AVAILABLE: Code = Code(50);

    /// A delegate is in no directory of `CNI_PATH`, or cannot be started.
    pub const DELEGATE_UNUSABLE: Code = Code(100);
    /// A delegate ended without a reply that the specification allows.
    pub const DELEGATE_BROKEN: Code = Code(101);
    /// Every address of a range set is taken.
    pub const ADDRESSES_EXHAUSTED: Code = Code(110);
    /// A requested address is taken, or must not be allocated.
    pub const ADDRESS_UNAVAILABLE: Code = Code(111);
    /// The attachment already holds an address.
    pub const ALREADY_ALLOCATED: Code = Code(112);
    /// CHECK found that something is missing or differs.
    pub const CHECK_FAILED: Code = Code(120);
    /// A bug of the plugin or of a library in it. The plugin has rolled nothing back.
    pub const INTERNAL: Code = Code(190);
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A plugin's failure, as the plugin reports it to the runtime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{msg}{}{details} (code {code})", if details.is_empty() { "" } else { ": " })]
pub struct Error {
    /// The kind of the failure.
    pub code: Code,
    /// The failure and its cause, in one short line.
    pub msg: String,
    /// More for a human reader; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}

impl Error {
    /// An error without details.
    pub fn new(code: Code, msg: impl fmt::Display) -> Self {
        Self {
            code,
            msg: msg.to_string(),
            details: String::new(),
        }
    }

    /// The same error with these details.
    pub fn with_details(self, details: impl fmt::Display) -> Self {
        Self {
            details: details.to_string(),
            ..self
        }
    }

    /// One error with the messages of all, and the code of the first; `None` without errors.
    pub fn join(errors: impl IntoIterator<Item = Error>) -> Option<Error> {
        errors.into_iter().reduce(|mut first, next| {
            first.msg.push_str("; ");
            first.msg.push_str(&next.msg);
            if !next.details.is_empty() {
                if !first.details.is_empty() {
                    first.details.push_str("; ");
                }
                first.details.push_str(&next.details);
            }
            first
        })
    }

    /// The error as a reply: one JSON object with the version of the protocol.
    pub fn at_version(&self, version: Version) -> VersionedError<'_> {
        VersionedError {
            version,
            error: self,
        }
    }
}

/// An [`Error`] with the version of the configuration that it answers, as it goes to standard
/// output.
#[derive(Serialize)]
pub struct VersionedError<'a> {
    #[serde(rename = "cniVersion")]
    version: Version,
    #[serde(flatten)]
    error: &'a Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_json_object() {
        let error = Error::new(Code::INVALID_NETNS, "no netns");
        assert_eq!(
            serde_json::to_string(&error.at_version(Version::V1_0_0)).unwrap(),
            r#"{"cniVersion":"1.0.0","code":8,"msg":"no netns"}"#
        );
        assert_eq!(
            serde_json::to_string(&error.with_details("/x").at_version(Version::V0_1_0)).unwrap(),
            r#"{"cniVersion":"0.1.0","code":8,"msg":"no netns","details":"/x"}"#
        );
    }

    #[test]
    fn the_documentation_lists_exactly_the_codes_of_this_file() {
        let own = include_str!("error.rs").lines().filter_map(|line| {
            let (_, code) = line.split_once(": Code = Code(")?;
            code.strip_suffix(");")
        });
        let listed = include_str!("../../../docs/errors.md")
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
            .map(|(code, _)| code)
            .filter(|code| code.parse::<u32>().is_ok());
        assert_eq!(listed.collect::<Vec<_>>(), own.collect::<Vec<_>>());
    }

    #[test]
    fn a_joined_error_has_all_messages_and_details() {
        assert_eq!(Error::join([]), None);
        let joined = Error::join([
            Error::new(Code::IO_FAILURE, "a"),
            Error::new(Code(7), "b").with_details("x"),
            Error::new(Code(7), "c").with_details("y"),
        ]);
        assert_eq!(
            joined,
            Some(Error::new(Code::IO_FAILURE, "a; b; c").with_details("x; y"))
        );
    }
}
