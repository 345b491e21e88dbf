//! The plugins' binaries, and where each comes from: this build, another build of Twill, or another
//! project.

use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use child::{Child, Ended, Image};
use cni_plugin::is_this_build;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{Part, Problem};

/// The timeout for a plugin that reports its version.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The word in a plugin's version line that identifies it as one of Twill's.
const OWN_WORD: &str = "twill";

/// The start of a plugin's second line.
const VERSIONS: &str = "CNI protocol versions supported: ";

/// A plugin's binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// The plugin.
    pub name: String,
    /// The path of the binary; `None` if no directory has it.
    pub path: Option<PathBuf>,
    /// The project and build that it comes from.
    pub origin: Part<Origin>,
}

/// The project and build that a plugin's binary comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The binary that is running, or a copy of it.
    ThisBuild,
    /// Another build of Twill, with its version line.
    Twill(String),
    /// Another project, with the binary's version line.
    Other(String),
}

impl Origin {
    /// Whether the binary is Twill's.
    pub fn is_twill(&self) -> bool {
        matches!(self, Self::ThisBuild | Self::Twill(_))
    }
}

/// Finds plugins by their names, in the order of the directories as a runtime does, and runs each
/// one that is not this build for its version line.
pub fn find_binaries<'n>(
    dirs: &[PathBuf],
    names: impl IntoIterator<Item = &'n str>,
) -> Vec<Binary> {
    let mut binaries: Vec<Binary> = Vec::new();
    for name in names {
        if binaries.iter().any(|binary| binary.name == name) {
            continue;
        }
        let mut files = dirs.iter().map(|dir| dir.join(name));
        let found = files.find_map(|path| Some((fs::metadata(&path).ok()?, path)));
        let found = found.filter(|(metadata, _)| metadata.is_file());
        let origin = match &found {
            None => Err(Problem::of(format_args!(
                "plugin {name} is in no plugin directory"
            ))),
            Some((metadata, path)) if is_this_build(path, metadata) => Ok(Origin::ThisBuild),
            Some((_, path)) => ask(path),
        };
        binaries.push(Binary {
            name: name.to_owned(),
            path: found.map(|(_, path)| path),
            origin,
        });
    }
    binaries
}

/// Runs a plugin without a command, and reads its version line: the first line on standard error.
fn ask(path: &Path) -> Part<Origin> {
    let failed =
        |error: io::Error| Problem::of(format_args!("cannot run {}: {error}", path.display()));
    let report = run(path, 1).map_err(failed)?;
    let line = report.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(Problem::of(format_args!(
            "{} does not report what it is",
            path.display()
        )));
    }
    Ok(if line.to_ascii_lowercase().contains(OWN_WORD) {
        Origin::Twill(line.to_owned())
    } else {
        Origin::Other(line.to_owned())
    })
}

/// The versions of the CNI specification that a plugin supports; `None` if it does not report them.
pub fn supported_versions(path: &Path) -> Option<Vec<String>> {
    let report = run(path, 2).ok()?;
    let mut lines = report.lines();
    let versions = lines.find_map(|line| line.strip_prefix(VERSIONS))?;
    Some(versions.trim().split(", ").map(str::to_owned).collect())
}

/// Runs a plugin without a command, and returns at least so many lines of its standard error.
fn run(path: &Path, lines: usize) -> io::Result<String> {
    let image = Image::at(path, std::iter::empty())?;
    let (child, streams) = Child::start(&image, None)?;
    drop((streams.stdin, streams.stdout));
    let give_up = Instant::now() + TIMEOUT;
    let mut stderr = streams.stderr;
    let mut report = Vec::new();
    loop {
        let left = give_up.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        if poll(
            &mut [PollFd::new(stderr.as_fd(), PollFlags::POLLIN)],
            timeout,
        )? == 0
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut part = [0; 512];
        let length = stderr.read(&mut part)?;
        report.extend(part.get(..length).unwrap_or_default());
        let ends = report.iter().filter(|byte| **byte == b'\n');
        if length == 0 || ends.count() >= lines {
            break;
        }
    }
    child.kill();
    match child.wait()? {
        Ended::NotRun(error) => Err(error),
        Ended::Run(_) => Ok(String::from_utf8_lossy(&report).into_owned()),
    }
}
