//! Living containers, as reported by container runtimes, a list or the kernel.
//!
//! [`Living::ask`] asks any number of [`Source`]s: a container lives if one of them reports it. The
//! output of a runtime's program is parsed by the module with the program's name, which is pure.
//! The kernel's report consists of [`Namespaces`].
//!
//! A caller that releases the holdings of dead containers must read the holdings first, and ask for
//! the living containers afterwards. Then a container that starts in between never counts as dead.

mod crictl;
mod ctr;
mod error;
mod list;
mod namespaces;
mod nerdctl;
mod podman;
mod program;
mod source;

use std::collections::HashMap;
use std::net::IpAddr;

use allocator::Owner;
use cni_types::ValidAttachments;
use node::Processes;

pub use self::error::LivingError;
pub use self::namespaces::{Namespace, Namespaces};
pub use self::source::Source;

/// A container as a runtime reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Container {
    /// `CNI_CONTAINERID`, which is the ID of the pod's sandbox for a runtime of Kubernetes.
    id: String,
    /// The container's name; `<namespace>/<pod>` for a pod.
    name: Option<String>,
    state: State,
    /// The ID of its first process, where the runtime's word for the state may be out of date.
    pid: Option<u32>,
}

/// Whether a container lives, in the runtime's word for its state.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Alive(String),
    Ended(String),
}

impl State {
    /// The state for a runtime's word; `ended` are the words that mean that the container has
    /// ended. An unknown word, of a later version of the runtime, does not.
    fn of(word: &str, ended: &[&str]) -> Self {
        let is_ended = ended.iter().any(|known| word.eq_ignore_ascii_case(known));
        let state = if is_ended { Self::Ended } else { Self::Alive };
        state(word.to_owned())
    }
}

/// An attachment, with all that identifies it to a source.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The container, and its interface if it is known.
    pub owner: &'a Owner,
    /// The addresses that the attachment has been given.
    pub addresses: &'a [IpAddr],
    /// The alias of the attachment's links, if it is known.
    pub alias: Option<&'a str>,
}

/// Whether an attachment is alive, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether one of the sources reports it.
    pub is_alive: bool,
    /// The source and its report: `podman reports it as running`.
    pub reason: String,
}

/// The reports of the sources that were asked.
#[derive(Debug, Default)]
pub struct Living {
    reports: Vec<(Source, Report)>,
}

/// The report of one source.
#[derive(Debug)]
enum Report {
    Containers(HashMap<String, Container>),
    Attachments(ValidAttachments),
    /// The kernel's namespaces, which are looked at afterwards.
    Namespaces,
}

impl Living {
    /// Asks each source.
    ///
    /// # Errors
    /// [`LivingError`] if one of them cannot be asked, or if its answer cannot be read.
    pub fn ask(sources: &[Source]) -> Result<Self, LivingError> {
        let ask = |source: &Source| Ok((source.clone(), source.ask()?));
        let reports = sources
            .iter()
            .map(ask)
            .collect::<Result<_, LivingError>>()?;
        Ok(Self { reports })
    }

    /// The attachments that live, if every source is a list of attachments. A runtime lists
    /// containers only.
    pub fn attachments(&self) -> Option<ValidAttachments> {
        let lists = self.reports.iter().map(|(_, report)| match report {
            Report::Attachments(valid) => Some(valid.iter().cloned()),
            Report::Containers(_) | Report::Namespaces => None,
        });
        let lists: Option<Vec<_>> = lists.collect();
        Some(lists?.into_iter().flatten().collect())
    }

    /// The name of a container, if a runtime reports one: `<namespace>/<pod>` for a pod.
    pub fn name_of(&self, container_id: &str) -> Option<&str> {
        self.reports.iter().find_map(|(_, report)| match report {
            Report::Containers(containers) => containers.get(container_id)?.name.as_deref(),
            Report::Attachments(_) | Report::Namespaces => None,
        })
    }

    /// Whether an attachment is alive. `namespaces` are what the kernel says, if it was asked
    /// ([`Source::Netns`]); they are read after the other sources were asked.
    pub fn verdict(&self, subject: Subject<'_>, namespaces: &Namespaces) -> Verdict {
        let mut reasons = Vec::new();
        for (source, report) in &self.reports {
            let verdict = report.verdict(source, subject, namespaces);
            if verdict.is_alive {
                return verdict;
            }
            reasons.push(verdict.reason);
        }
        Verdict {
            is_alive: false,
            reason: reasons.join("; "),
        }
    }
}

impl Report {
    fn verdict(&self, source: &Source, subject: Subject<'_>, namespaces: &Namespaces) -> Verdict {
        let owner = subject.owner;
        let (is_alive, reason) = match self {
            Self::Containers(containers) => match containers.get(owner.container_id.as_str()) {
                None => (false, format!("{source} knows no such container")),
                Some(container) => {
                    let (is_alive, word) = match &container.state {
                        State::Alive(word) => (true, word),
                        State::Ended(word) => (false, word),
                    };
                    (is_alive, format!("{source} reports it as {word}"))
                }
            },
            Self::Attachments(valid) => match owner.is_valid(valid) {
                true => (true, format!("{source} lists it")),
                false => (false, format!("{source} does not list it")),
            },
            Self::Namespaces => match namespaces.trace_of(subject) {
                Some(trace) => (true, trace),
                None => (false, "no network namespace has its interface".to_owned()),
            },
        };
        Verdict { is_alive, reason }
    }
}

/// The report of a runtime. A container whose first process does not exist any more, or is in the
/// network namespace of the node, has ended, even if the runtime has not noticed.
fn report(containers: Vec<Container>, processes: &Processes) -> Report {
    let containers = containers.into_iter().map(|container| {
        let state = match (&container.state, container.pid) {
            (State::Alive(word), Some(pid)) if processes.has_no_container(pid) => {
                State::Ended(format!("{word}, but its process {pid} is gone"))
            }
            (state, _) => state.clone(),
        };
        (container.id.clone(), Container { state, ..container })
    });
    Report::Containers(containers.collect())
}

#[cfg(test)]
mod tests;
