//! Finding and calling a delegate.

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use cni_types::json::{self, DecodeError};
use cni_types::{AddResult, Code, Error, NetConf, PluginType, Version};
use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, access};
use serde::Deserialize;

use crate::depth;
use crate::dispatch::{dispatch_in, version_of};
use crate::exec::{Output, Program, RunError, Started};
use crate::{Bundle, Command, ContainerNetns, Environment, Plugin};

/// A plugin to which the calling plugin delegates (CNI specification, "Section 4: plugin
/// delegation"). The delegate inherits the caller's environment.
#[derive(Debug)]
pub struct Delegate<'a> {
    plugin_type: PluginType,
    program: PathBuf,
    environment: &'a Environment,
    netns: Option<&'a ContainerNetns>,
    lifeline: Option<BorrowedFd<'a>>,
    bundle: Bundle<'a>,
    /// The number of delegations between the runtime and this plugin.
    depth: u32,
    /// The plugin for in-process delegation, if `program` is this process's own build.
    bundled: Option<&'a dyn Plugin>,
    /// The delegate's answer to VERSION, once asked for.
    versions: OnceCell<Versions>,
}

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

/// The answer to VERSION.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    supported_versions: Vec<String>,
}

/// A failed delegation.
#[derive(Debug, thiserror::Error)]
pub enum DelegateError {
    /// No directory of `CNI_PATH` has a file with the delegate's name.
    #[error("no plugin {plugin_type:?} in CNI_PATH {}: install it there, or correct the type in \
        the network configuration", path.display())]
    Missing {
        /// The delegate's type.
        plugin_type: String,
        /// The directories that were searched.
        path: OsString,
    },
    /// The file is not executable.
    #[error("plugin {} is not executable: make it so with chmod +x", program.display())]
    NotExecutable {
        /// The file.
        program: PathBuf,
    },
    /// The delegate could not be started, and has done nothing.
    #[error("cannot start plugin {}: {source}", program.display())]
    Start {
        /// The plugin's file.
        program: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// Writing the delegate's input or reading its output failed.
    #[error("cannot talk to plugin {}: {source}", program.display())]
    Talk {
        /// The plugin's file.
        program: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The delegate ended by a signal, or failed without a JSON error. What it printed then says
    /// why, so the message has the first line of it.
    #[error("plugin {} {}", program.display(), describe(*status, said))]
    Died {
        /// The plugin's file.
        program: PathBuf,
        /// The exit status or signal.
        status: ExitStatus,
        /// The start of its standard output, or of its standard error if that is empty.
        said: String,
    },
    /// The delegate succeeded, but its answer is not a valid result.
    #[error("plugin {} answered {command} with an invalid result: {source}", program.display())]
    Garbage {
        /// The plugin's file.
        program: PathBuf,
        /// The command.
        command: Command,
        /// The answer's mistake.
        source: DecodeError,
        /// The start of the answer.
        said: String,
    },
    /// The delegate failed and reported a JSON error.
    #[error("{plugin_type}: {error}")]
    Failed {
        /// The delegate's type.
        plugin_type: PluginType,
        /// The delegate's error.
        error: Error,
    },
}

impl DelegateError {
    /// Whether the delegate is known to have ended by itself, or not to have been started. Then no
    /// process that the delegate started is still at work.
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::NotExecutable { .. }
            | Self::Start { .. }
            | Self::Garbage { .. }
            | Self::Failed { .. } => true,
            Self::Died { status, .. } => status.code().is_some(),
            Self::Talk { .. } => false,
        }
    }

    /// Whether the delegate reports the command as unknown, as plugins for an earlier version of
    /// the specification do.
    fn is_unknown_command(&self) -> bool {
        matches!(
            self,
            Self::Failed { error, .. }
                if error.code == Code::INVALID_ENVIRONMENT && error.msg.contains("unknown CNI_COMMAND")
        )
    }
}

impl From<DelegateError> for Error {
    /// A delegate's own error keeps its code and details; its message gets the delegate's name.
    fn from(error: DelegateError) -> Self {
        let msg = error.to_string();
        match error {
            DelegateError::Missing { .. }
            | DelegateError::NotExecutable { .. }
            | DelegateError::Start { .. } => Error::new(Code::DELEGATE_UNUSABLE, msg),
            DelegateError::Talk { .. } => Error::new(Code::IO_FAILURE, msg),
            DelegateError::Died { said, .. } => {
                Error::new(Code::DELEGATE_BROKEN, msg).with_details(said)
            }
            DelegateError::Garbage { said, .. } => {
                Error::new(Code::DECODING_FAILURE, msg).with_details(said)
            }
            DelegateError::Failed { plugin_type, error } => Error {
                msg: format!("{plugin_type}: {}", error.msg),
                ..error
            },
        }
    }
}

impl<'a> Delegate<'a> {
    pub(crate) fn find(
        plugin_type: PluginType,
        environment: &'a Environment,
        netns: Option<&'a ContainerNetns>,
        bundle: Bundle<'a>,
    ) -> Result<Self, DelegateError> {
        let path = environment.get("CNI_PATH").unwrap_or_default();
        match search(&plugin_type, path) {
            Ok((program, metadata)) => Ok(Self {
                bundled: bundle.get_by_file(plugin_type.as_str().as_ref(), &program, &metadata),
                plugin_type,
                program,
                environment,
                netns,
                lifeline: None,
                bundle,
                depth: depth::of(environment).saturating_add(1),
                versions: OnceCell::new(),
            }),
            Err(Some(program)) => Err(DelegateError::NotExecutable { program }),
            Err(None) => Err(DelegateError::Missing {
                plugin_type: plugin_type.to_string(),
                path: path.to_owned(),
            }),
        }
    }

    /// Finds a plugin for a runtime. It is started as a process with this environment and a
    /// command, and no plugin has delegated to it.
    ///
    /// # Errors
    /// [`DelegateError::Missing`], [`DelegateError::NotExecutable`].
    pub fn of_runtime(
        plugin_type: PluginType,
        environment: &'a Environment,
    ) -> Result<Self, DelegateError> {
        let plugin = Self::find(plugin_type, environment, None, Bundle::default())?;
        Ok(Self { depth: 0, ..plugin })
    }

    /// Passes an open file to the delegate and to every process that it starts. A lock on the file
    /// stays held until the last of them has ended, even if the caller has ended before.
    pub fn with_lifeline(mut self, lifeline: BorrowedFd<'a>) -> Self {
        self.lifeline = Some(lifeline);
        self
    }

    /// The delegate's type.
    pub fn plugin_type(&self) -> &PluginType {
        &self.plugin_type
    }

    /// The delegate's file.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Starts the delegate, which waits for its configuration. The kernel needs a while to set up
    /// the process; the caller can do something else in the meantime.
    ///
    /// # Errors
    /// [`DelegateError::Start`].
    pub fn start(&self, command: Command) -> Result<DelegateCall<'_>, DelegateError> {
        let program = Program {
            path: &self.program,
            lifeline: self.lifeline,
        };
        let way = match self.bundled {
            Some(plugin) => Way::Here(plugin),
            None => Way::Process(
                program
                    .start(&self.environment_for(command))
                    .map_err(|error| self.not_run(error))?,
            ),
        };
        Ok(DelegateCall {
            delegate: self,
            command,
            way,
        })
    }

    /// The caller's environment, with the delegate's command and depth.
    fn environment_for(&self, command: Command) -> Environment {
        self.environment.with_all([
            ("CNI_COMMAND", command.as_str().into()),
            (depth::VARIABLE, self.depth.to_string().into()),
        ])
    }

    /// Calls the delegate with a command that has no result.
    ///
    /// # Errors
    /// As [`DelegateCall::run`].
    pub fn run<'c>(
        &self,
        command: Command,
        conf: impl Into<DelegateConf<'c>>,
    ) -> Result<(), DelegateError> {
        self.start(command)?.run(conf)
    }

    /// Calls the delegate, and returns its standard output.
    ///
    /// # Errors
    /// As [`DelegateCall::add`].
    pub fn answer<'c>(
        &self,
        command: Command,
        conf: impl Into<DelegateConf<'c>>,
    ) -> Result<String, DelegateError> {
        let (stdout, _) = self.start(command)?.finish(conf.into())?;
        String::from_utf8(stdout).map_err(|error| {
            let source = DecodeError::at("", error.utf8_error());
            self.garbage(command, source, error.as_bytes())
        })
    }

    /// Calls the delegate with GC or STATUS, which not every plugin knows, and returns whether this
    /// one does.
    ///
    /// # Errors
    /// As [`Delegate::run`].
    pub fn run_if_known<'c>(
        &self,
        command: Command,
        conf: impl Into<DelegateConf<'c>>,
    ) -> Result<bool, DelegateError> {
        match self.run(command, conf) {
            Ok(()) => Ok(true),
            Err(error) if error.is_unknown_command() => Ok(false),
            Err(error) => match self.supports(Version::V1_1_0) {
                Ok(false) => Ok(false),
                Ok(true) | Err(_) => Err(error),
            },
        }
    }

    /// Whether the delegate supports a version of the specification (CNI specification, "VERSION").
    /// The delegate is asked once.
    ///
    /// # Errors
    /// As [`DelegateCall::add`].
    pub fn supports(&self, version: Version) -> Result<bool, DelegateError> {
        let versions = match self.versions.get() {
            Some(versions) => versions,
            None => {
                let answer = self.ask_versions()?;
                self.versions.get_or_init(|| answer)
            }
        };
        Ok(versions
            .supported_versions
            .iter()
            .any(|supported| supported == version.as_str()))
    }

    fn ask_versions(&self) -> Result<Versions, DelegateError> {
        let (stdout, _) = self.start(Command::Version)?.finish("".into())?;
        json::from_slice(&stdout).map_err(|source| self.garbage(Command::Version, source, &stdout))
    }

    fn garbage(&self, command: Command, source: DecodeError, stdout: &[u8]) -> DelegateError {
        DelegateError::Garbage {
            program: self.program.clone(),
            command,
            source,
            said: quote(stdout),
        }
    }

    /// Calls a plugin of this binary, and returns the version that the reply has with it.
    fn call_here(
        &self,
        plugin: &dyn Plugin,
        command: Command,
        conf: DelegateConf<'_>,
    ) -> (Output, Version) {
        let environment = self.environment_for(command);
        let call = |conf| {
            let reply = dispatch_in(self.bundle, plugin, &environment, conf, self.netns);
            (reply, version_of(conf))
        };
        let (reply, version) = match conf {
            DelegateConf::Own(conf) => call(Ok(conf)),
            DelegateConf::Text(text) => call(NetConf::parse(text.as_bytes()).as_ref()),
        };
        let output = Output {
            status: ExitStatus::from_raw(i32::from(reply.failed) << 8),
            stdout: reply.stdout.into_bytes(),
            stderr: reply.stderr.into_bytes(),
        };
        (output, version)
    }

    fn not_run(&self, error: RunError) -> DelegateError {
        let program = self.program.clone();
        match error {
            RunError::Start(source) => DelegateError::Start { program, source },
            RunError::Talk(source) => DelegateError::Talk { program, source },
        }
    }
}

/// A started delegate that waits for its configuration. If the call is dropped, the delegate is
/// killed.
#[derive(Debug)]
pub struct DelegateCall<'a> {
    delegate: &'a Delegate<'a>,
    command: Command,
    way: Way<'a>,
}

/// How a delegate is called.
#[derive(Debug)]
enum Way<'a> {
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
    fn finish(self, conf: DelegateConf<'_>) -> Result<(Vec<u8>, Option<Version>), DelegateError> {
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

/// Searches the directories in order. A file that is not executable does not hide an executable one
/// in a later directory; without such, the error contains the file.
fn search(plugin_type: &PluginType, path: &OsStr) -> Result<(PathBuf, Metadata), Option<PathBuf>> {
    let mut not_executable = None;
    // To a shell, an empty part is the working directory, which no runtime means.
    for directory in std::env::split_paths(path).filter(|part| !part.as_os_str().is_empty()) {
        let file = directory.join(plugin_type.as_str());
        let Ok(metadata) = fs::metadata(&file) else {
            continue;
        };
        if !metadata.is_file() {
            continue;
        }
        if access(&file, AccessFlags::X_OK).is_ok() {
            return Ok((file, metadata));
        }
        not_executable.get_or_insert(file);
    }
    Err(not_executable)
}

/// The start of a plugin's output, for the details of an error.
fn quote(said: &[u8]) -> String {
    /// The largest number of characters.
    const LIMIT: usize = 500;
    let text = String::from_utf8_lossy(said);
    text.trim().chars().take(LIMIT).collect()
}

/// The first line of what a plugin has printed, for the end of a message.
fn first_line(said: &str) -> String {
    /// The largest number of characters.
    const LIMIT: usize = 200;
    let line: String = said
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(LIMIT)
        .collect();
    if line.is_empty() {
        return line;
    }
    format!(": {line}")
}

fn describe(status: ExitStatus, said: &str) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => {
            let said = first_line(said);
            format!("failed with exit status {code} and no error in JSON{said}")
        }
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("was killed by {signal}"),
            Err(_) => format!("was killed by signal {number}"),
        },
        (None, None) => format!("ended with {status}"),
    }
}

#[cfg(test)]
mod tests;
