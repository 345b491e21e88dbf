//! Finding and starting a delegate.

mod call;
mod error;

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use cni_types::json::{self, DecodeError};
use cni_types::{NetConf, PluginType, Version};
use nix::unistd::{AccessFlags, access};
use serde::Deserialize;

use self::call::Way;
pub use self::call::{DelegateCall, DelegateConf};
pub use self::error::DelegateError;
use self::error::quote;
use crate::depth;
use crate::dispatch::{dispatch_in, version_of};
use crate::exec::{Output, Program, RunError};
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

/// The answer to VERSION.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    supported_versions: Vec<String>,
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

#[cfg(test)]
mod tests;
