//! Sysctls: kernel settings below `/proc/sys/net`.
//!
//! The settings are those of the calling thread's network namespace, which
//! [`Netns::enter`](crate::Netns::enter) selects. The name of a setting is the list of its path's
//! components, because an interface's name may contain dots:
//! `["ipv4", "conf", "eth0.5", "forwarding"]`.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use cni_types::Code;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

const ROOT: &str = "/proc/sys/net";

/// Nearly all values are shorter, in bytes.
const USUAL_LENGTH: usize = 128;

/// Why a setting could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SysctlError {
    /// The kernel has no IPv6, or was booted without it (`ipv6.disable=1`).
    #[error("the kernel has no IPv6: {} does not exist", .0.display())]
    NoIpv6(PathBuf),
    /// The kernel does not have the setting, or the interface does not exist.
    #[error("{} does not exist", .0.display())]
    NotFound(PathBuf),
    /// A component of the name is empty, `.` or `..`, or contains a slash.
    #[error("{0:?} is no part of a kernel setting's name")]
    InvalidName(String),
    /// The kernel refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The setting.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
}

impl From<SysctlError> for cni_types::Error {
    fn from(error: SysctlError) -> Self {
        cni_types::Error::new(Code::IO_FAILURE, error)
    }
}

/// Reads a setting, without the newline at its end.
///
/// # Errors
/// [`SysctlError`].
pub fn read(name: &[&str]) -> Result<String, SysctlError> {
    let path = path_of(name)?;
    match read_once(&path) {
        Ok(value) => Ok(value.trim_end().to_owned()),
        Err(error) => Err(failed("read", name, path, error)),
    }
}

/// The first read(2) returns a whole value, so a second one is only made for a long value.
fn read_once(path: &Path) -> io::Result<String> {
    let mut file = open(path, OFlag::O_RDONLY)?;
    let mut start = [0; USUAL_LENGTH];
    let length = file.read(&mut start)?;
    let mut value = start.get(..length).unwrap_or_default().to_vec();
    if length == USUAL_LENGTH {
        file.read_to_end(&mut value)?;
    }
    String::from_utf8(value).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

/// Changes a setting.
///
/// # Errors
/// [`SysctlError`].
pub fn write(name: &[&str], value: &str) -> Result<(), SysctlError> {
    let path = path_of(name)?;
    let written =
        open(&path, OFlag::O_WRONLY).and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(|error| failed("write", name, path, error))
}

/// With openat(2), because musl's open(2) makes another system call for `O_CLOEXEC`.
fn open(path: &Path, access: OFlag) -> io::Result<File> {
    let flags = access | OFlag::O_CLOEXEC;
    Ok(openat(AT_FDCWD, path, flags, Mode::empty())?.into())
}

fn path_of(name: &[&str]) -> Result<PathBuf, SysctlError> {
    let mut path = PathBuf::from(ROOT);
    for part in name {
        if part.is_empty() || *part == "." || *part == ".." || part.contains(['/', '\0']) {
            return Err(SysctlError::InvalidName((*part).to_owned()));
        }
        path.push(part);
    }
    Ok(path)
}

fn failed(action: &'static str, name: &[&str], path: PathBuf, source: io::Error) -> SysctlError {
    if source.kind() != ErrorKind::NotFound {
        return SysctlError::Io {
            action,
            path,
            source,
        };
    }
    // With `ipv6.disable=1` the module is loaded, but `ipv6/conf` does not exist.
    let interfaces = Path::new(ROOT).join("ipv6/conf");
    if name.first() == Some(&"ipv6") && !interfaces.exists() {
        SysctlError::NoIpv6(path)
    } else {
        SysctlError::NotFound(path)
    }
}
