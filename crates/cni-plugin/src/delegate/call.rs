//! A call of a delegate: its configuration, and its answer.

use cni_types::json::{self, DecodeError};
use cni_types::{AddResult, Error, NetConf, Version};

use super::error::quote;
use super::{Delegate, DelegateError};
use crate::exec::{Output, Started};
use crate::{Command, Plugin};

/// A delegate's configuration.
#[derive(Clone, Copy, Debug)]
pub enum DelegateConf<'a> {
    /// A configuration that the caller has composed.
    Text(&'a str),
    /// The caller's own configuration, which in-process delegation does not parse again.
    Own(&'a NetConf<'a>),
}

impl<'a> DelegateConf<'a> {
    fn as_json(self) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Own(conf) => conf.as_json(),
        }
    }
}

impl<'a> From<&'a str> for DelegateConf<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for DelegateConf<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a NetConf<'a>> for DelegateConf<'a> {
    fn from(conf: &'a NetConf<'a>) -> Self {
        Self::Own(conf)
    }
}

/// A started delegate that waits for its configuration. If the call is dropped, the delegate is
/// killed.
#[derive(Debug)]
pub struct DelegateCall<'a> {
    pub(super) delegate: &'a Delegate<'a>,
    pub(super) command: Command,
    pub(super) way: Way<'a>,
}

/// How a delegate is called.
#[derive(Debug)]
pub(super) enum Way<'a> {
    Process(Started<'a>),
    Here(&'a dyn Plugin),
}

impl DelegateCall<'_> {
    /// Passes the configuration of an ADD, and returns the result as JSON in the shape of
    /// `version`.
    ///
    /// # Errors
    /// Any [`DelegateError`] except [`DelegateError::Missing`] and
    /// [`DelegateError::NotExecutable`].
    pub fn add<'c>(
        self,
        conf: impl Into<DelegateConf<'c>>,
        version: Version,
    ) -> Result<String, DelegateError> {
        self.finish_add(conf.into(), |text, encoded_as| {
            // This very binary has just encoded the result, so there is nothing to check or to
            // convert, which would take a twelfth of an ADD's instructions.
            if encoded_as == Some(version) {
                return Ok(text.trim_end().to_owned());
            }
            AddResult::pass_on(text, version)
        })
    }

    /// As [`DelegateCall::add`], but decodes the result.
    ///
    /// # Errors
    /// As [`DelegateCall::add`].
    pub fn add_and_decode<'c>(
        self,
        conf: impl Into<DelegateConf<'c>>,
        version: Version,
    ) -> Result<AddResult, DelegateError> {
        self.finish_add(conf.into(), |text, _| AddResult::decode_as(text, version))
    }

    fn finish_add<T>(
        self,
        conf: DelegateConf<'_>,
        read: impl FnOnce(&str, Option<Version>) -> Result<T, DecodeError>,
    ) -> Result<T, DelegateError> {
        let (delegate, command) = (self.delegate, self.command);
        let (stdout, encoded_as) = self.finish(conf)?;
        std::str::from_utf8(&stdout)
            .map_err(|error| DecodeError::at("", error))
            .and_then(|text| read(text, encoded_as))
            .map_err(|source| delegate.garbage(command, source, &stdout))
    }

    /// Passes the configuration of a command that has no result.
    ///
    /// # Errors
    /// As [`DelegateCall::add`], except that the output of a success is ignored.
    pub fn run<'c>(self, conf: impl Into<DelegateConf<'c>>) -> Result<(), DelegateError> {
        self.finish(conf.into()).map(drop)
    }

    /// Returns what the delegate has printed, and in which version if it is a plugin of this
    /// binary.
    pub(super) fn finish(
        self,
        conf: DelegateConf<'_>,
    ) -> Result<(Vec<u8>, Option<Version>), DelegateError> {
        let delegate = self.delegate;
        let (output, encoded_as) = match self.way {
            Way::Process(process) => {
                let output = process.finish(conf.as_json().as_bytes());
                (output.map_err(|error| delegate.not_run(error))?, None)
            }
            Way::Here(plugin) => {
                let (output, version) = delegate.call_here(plugin, self.command, conf);
                (output, Some(version))
            }
        };
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        if status.success() {
            return Ok((stdout, encoded_as));
        }
        match json::from_slice::<Error>(&stdout) {
            Ok(error) if status.code().is_some() => Err(DelegateError::Failed {
                plugin_type: delegate.plugin_type.clone(),
                error,
            }),
            _ => Err(DelegateError::Died {
                program: delegate.program.clone(),
                status,
                said: quote(if stdout.trim_ascii().is_empty() {
                    &stderr
                } else {
                    &stdout
                }),
            }),
        }
    }
}
