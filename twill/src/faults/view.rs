//! A fault as commands print it.

use serde::Serialize;

use super::Fault;

/// A fault as a command reports it; the fields are the keys of its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FaultView {
    pub(crate) kind: &'static str,
    pub(crate) subject: String,
    pub(crate) evidence: String,
    pub(crate) effect: &'static str,
    pub(crate) command: String,
    pub(crate) repairable: bool,
}

impl FaultView {
    /// The subject and the evidence, which may name the subject itself.
    pub(crate) fn in_words(&self) -> String {
        match self.evidence.contains(&self.subject) {
            true => self.evidence.clone(),
            false => format!("{}: {}", self.subject, self.evidence),
        }
    }
}

impl From<Fault> for FaultView {
    fn from(fault: Fault) -> Self {
        Self {
            kind: fault.kind,
            subject: fault.subject,
            evidence: fault.evidence,
            effect: fault.effect,
            command: fault.command,
            repairable: fault.repair.is_some(),
        }
    }
}
