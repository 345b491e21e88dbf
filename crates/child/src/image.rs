//! A program with its arguments and environment, prepared before fork(2).

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;

use crate::raw::{self, Strings};

/// The directories that are searched if the environment has no `PATH`, as by execvp(3).
const DEFAULT_PATH: &str = "/usr/local/bin:/bin:/usr/bin";

/// A program to execute.
#[derive(Debug)]
pub struct Image {
    /// The possible paths of the program, in the order in which they are tried.
    programs: Vec<CString>,
    /// `argv`, with the program first.
    arguments: Vec<CString>,
    /// `NAME=value`.
    environment: Vec<CString>,
}

/// An [`Image`] in the form that execve(2) takes, so that nothing is allocated after fork(2).
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    programs: &'a [CString],
    arguments: Strings<'a>,
    environment: Strings<'a>,
}

impl Image {
    /// The program at a path. The path is its only argument, and these variables are its
    /// environment.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for a path or a variable with a NUL byte.
    pub fn at<'a>(
        path: &Path,
        environment: impl Iterator<Item = (&'a OsStr, &'a OsStr)>,
    ) -> io::Result<Self> {
        let program = CString::new(path.as_os_str().to_owned().into_vec())?;
        Ok(Self {
            arguments: vec![program.clone()],
            programs: vec![program],
            environment: variables(environment)?,
        })
    }

    /// The first program with a name in `PATH`, with these arguments after the name, and this
    /// process's environment.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for a name or an argument with a NUL byte.
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment is passed on, and only PATH is read from it"
    )]
    pub fn named(name: &str, arguments: &[&str]) -> io::Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        // An empty entry is the working directory.
        let programs = path
            .as_bytes()
            .split(|byte| *byte == b':')
            .map(|directory| {
                let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
                CString::new([directory, slash, name.as_bytes()].concat())
            });
        let arguments = [&name].into_iter().chain(arguments);
        let arguments = arguments.map(|argument| CString::new(*argument));
        let environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        Ok(Self {
            programs: programs.collect::<Result<_, _>>()?,
            arguments: arguments.collect::<Result<_, _>>()?,
            environment: variables(
                environment
                    .iter()
                    .map(|(name, value)| (name.as_os_str(), value.as_os_str())),
            )?,
        })
    }

    pub(crate) fn prepare(&self) -> Prepared<'_> {
        Prepared {
            programs: &self.programs,
            arguments: Strings::new(&self.arguments),
            environment: Strings::new(&self.environment),
        }
    }
}

impl Prepared<'_> {
    /// Executes the program in this process. Returns only if that fails. As execvp(3), goes on to
    /// the next path if a program is missing or not executable.
    pub(crate) fn exec(&self) -> Errno {
        let mut refusal = Errno::ENOENT;
        for program in self.programs {
            match raw::execve(program, &self.arguments, &self.environment) {
                Errno::ENOENT | Errno::ENOTDIR => {}
                Errno::EACCES => refusal = Errno::EACCES,
                errno => return errno,
            }
        }
        refusal
    }
}

fn variables<'a>(
    environment: impl Iterator<Item = (&'a OsStr, &'a OsStr)>,
) -> io::Result<Vec<CString>> {
    let variables = environment.map(|(name, value)| {
        let mut variable = OsString::with_capacity(name.len() + 1 + value.len());
        variable.extend([name, "=".as_ref(), value]);
        CString::new(variable.into_vec())
    });
    Ok(variables.collect::<Result<_, _>>()?)
}
