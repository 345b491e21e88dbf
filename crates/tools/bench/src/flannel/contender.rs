//! Who is measured, and what calls they get.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::netconf;
use super::scratch_files::ScratchFiles;
use crate::call::{Answer, Call};
use crate::container;
use crate::contest::Entrant;

/// Who is measured, in the order of the tables' columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contender {
    /// A program that does nothing, on glibc.
    Empty,
    /// One that is built as the plugins are, on musl.
    Bare,
    /// The delegate, started by itself.
    Idle,
    /// The plugin, which starts the delegate.
    Flannel,
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Empty => "empty program",
            Self::Bare => "empty on musl",
            Self::Idle => "delegate alone",
            Self::Flannel => "Twill flannel",
        })
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Add,
    Check,
    Del,
    Status,
}

impl Operation {
    /// All. An attachment is added, checked and deleted in this order.
    pub(super) const ALL: [Self; 4] = [Self::Add, Self::Check, Self::Del, Self::Status];

    pub(super) fn command(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Check => "CHECK",
            Self::Del => "DEL",
            Self::Status => "STATUS",
        }
    }
}

/// What calls are made with.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    /// flanneld's lease.
    pub(super) subnet_file: PathBuf,
    /// The folder that the delegate is in, for `CNI_PATH`.
    pub(super) delegates: PathBuf,
    /// A network namespace that is not our own.
    pub(super) netns: PathBuf,
}

/// A contender with its program and a data folder, in which only the plugin keeps anything.
#[derive(Debug)]
pub(super) struct Entry {
    contender: Contender,
    program: PathBuf,
    surroundings: Surroundings,
    /// How many other containers' configurations are kept.
    size: u32,
    data_dir: PathBuf,
    kept: ScratchFiles,
}

impl Entry {
    /// A contender with nothing kept yet, and a `dataDir` of its own.
    pub(super) fn new(
        contender: Contender,
        program: &Path,
        surroundings: &Surroundings,
        size: u32,
        data_dir: PathBuf,
    ) -> Self {
        Self {
            contender,
            program: program.to_owned(),
            surroundings: surroundings.clone(),
            size,
            kept: ScratchFiles::new(&data_dir),
            data_dir,
        }
    }
}

impl Entrant for Entry {
    type Operation = Operation;
    type Contender = Contender;

    fn contender(&self) -> Contender {
        self.contender
    }

    fn size(&self) -> u32 {
        self.size
    }

    /// Keeps the configurations of other containers.
    fn prepare(&mut self) -> Result<()> {
        if self.contender != Contender::Flannel {
            return Ok(());
        }
        self.run(Operation::Add, 0)?;
        let left = self.kept.read(&container::caller(0));
        self.run(Operation::Del, 0)?;
        self.kept.grow_to(self.size, &left?)
    }

    /// An error unless as many configurations are kept as there should be.
    fn check(&self) -> Result<()> {
        match self.contender {
            Contender::Flannel => self.kept.check(),
            Contender::Empty | Contender::Bare | Contender::Idle => Ok(()),
        }
    }

    fn call(&self, operation: Operation, round: usize) -> Call {
        let Surroundings {
            subnet_file,
            delegates,
            netns,
        } = &self.surroundings;
        let container = container::caller(round);
        let netconf = netconf::of(operation, subnet_file, &self.data_dir);
        Call::plugin(&self.program, operation.command(), &container, &netconf)
            .with("CNI_NETNS", netns.display().to_string())
            .with("CNI_PATH", delegates.display().to_string())
    }

    fn answer(&self, operation: Operation) -> Answer {
        match (self.contender, operation) {
            (Contender::Idle | Contender::Flannel, Operation::Add) => Answer::Address,
            _ => Answer::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_all_that_a_runtime_passes() {
        let surroundings = Surroundings {
            subnet_file: "/run/subnet.env".into(),
            delegates: "/bin".into(),
            netns: "/run/netns/a".into(),
        };
        let data_dir = PathBuf::from("/kept");
        let program = Path::new("/plugins/flannel");
        let entry = Entry::new(Contender::Flannel, program, &surroundings, 0, data_dir);
        let mut call = entry.call(Operation::Check, 3);
        call.environment.sort();
        let container = container::caller(3);
        let expected = [
            ("CNI_COMMAND", "CHECK"),
            ("CNI_CONTAINERID", &container),
            ("CNI_IFNAME", "eth0"),
            ("CNI_NETNS", "/run/netns/a"),
            ("CNI_PATH", "/bin"),
        ];
        let expected = expected.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(call.environment, expected);
        assert!(
            call.stdin.contains("\"dataDir\":\"/kept\""),
            "{}",
            call.stdin
        );
    }
}
