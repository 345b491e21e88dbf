//! The sources that can be asked for the living containers.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use node::Processes;

use crate::{Container, LivingError, Report, crictl, ctr, list, nerdctl, podman, report};

/// The largest list of attachments that is read, in bytes.
const MAX_LIST: u64 = 64 << 20;

/// The file system of processes.
const PROC: &str = "/proc";

/// A source of the living containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The pods of a runtime of Kubernetes, by `crictl`.
    Crictl,
    /// Podman's containers.
    Podman,
    /// nerdctl's containers, in all of containerd's namespaces.
    Nerdctl,
    /// containerd's tasks, in all of its namespaces, by `ctr`.
    Ctr,
    /// The kernel: a container lives while its network namespace exists.
    Netns,
    /// A list in the form of the CNI specification's `cni.dev/valid-attachments`, from standard
    /// input.
    Stdin,
    /// The same from a file.
    File(PathBuf),
}

/// A text that names no [`Source`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "neither crictl, podman, nerdctl, ctr, netns nor - (standard input); a file in the working \
     directory is ./FILE"
)]
pub struct UnknownSource;

impl FromStr for Source {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        Ok(match text {
            "crictl" => Self::Crictl,
            "podman" => Self::Podman,
            "nerdctl" => Self::Nerdctl,
            "ctr" => Self::Ctr,
            "netns" => Self::Netns,
            "-" => Self::Stdin,
            path if path.contains(['/', '.']) => Self::File(path.into()),
            _ => return Err(UnknownSource),
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crictl => f.write_str("crictl"),
            Self::Podman => f.write_str("podman"),
            Self::Nerdctl => f.write_str("nerdctl"),
            Self::Ctr => f.write_str("ctr"),
            Self::Netns => f.write_str("netns"),
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Source {
    pub(crate) fn ask(&self) -> Result<Report, LivingError> {
        let by_runtime =
            |containers: Vec<Container>| report(containers, &Processes::read(Path::new(PROC)));
        Ok(match self {
            Self::Crictl => by_runtime(crictl::ask()?),
            Self::Podman => by_runtime(podman::ask()?),
            Self::Nerdctl => by_runtime(nerdctl::ask()?),
            Self::Ctr => by_runtime(ctr::ask()?),
            Self::Netns => Report::Namespaces,
            Self::Stdin => read_list(Path::new("standard input"), Ok(io::stdin().lock()))?,
            Self::File(path) => read_list(path, File::open(path))?,
        })
    }
}

fn read_list(path: &Path, input: io::Result<impl Read>) -> Result<Report, LivingError> {
    let mut bytes = Vec::new();
    input
        .and_then(|input| input.take(MAX_LIST).read_to_end(&mut bytes))
        .map_err(|source| LivingError::File {
            path: path.to_owned(),
            source,
        })?;
    list::parse(&bytes).map(Report::Attachments)
}
