//! A program with its arguments and environment, prepared before the fork.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;

use crate::raw::{self, Strings};

/// Where programs are looked for if the environment has no `PATH`, as execvp(3) has it.
const DEFAULT_PATH: &str = "/usr/local/bin:/bin:/usr/bin";

/// What to run.
#[derive(Debug)]
pub struct Image {
    /// Where the program may be, in the order in which the places are tried.
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
    /// The program at a path, with nothing but this path as argument, and these variables alone.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`]: a path or a variable with a NUL byte.
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

    /// The first program of a name in `PATH`, with these arguments after its name, and with this
    /// process's environment.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`]: a name or an argument with a NUL byte.
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment is passed on as it is, and nothing is read from it but where \
            programs are"
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
    /// Replaces this process by the program. Returns if that fails: as execvp(3), which goes on to
    /// the next place where there is no program or none that may be run.
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
