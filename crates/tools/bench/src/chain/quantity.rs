//! What is measured.

/// A command of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Command {
    Add,
    Del,
}

impl Command {
    /// Both. An attachment is added and deleted in this order.
    pub(super) const ALL: [Self; 2] = [Self::Add, Self::Del];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
        }
    }
}

/// What of a call is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Aspect {
    /// The time from just before the start of its process until that was waited for.
    Latency,
    /// What processors worked for it, in user and in system mode: the mean of calls that were made together.
    Processor,
    /// The time that calls made together took, over their number: what a container costs those that wait behind it.
    Share,
}

/// A command, and what of its calls is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Quantity {
    pub(super) command: Command,
    pub(super) aspect: Aspect,
}

impl Quantity {
    /// The round of an attachment, by what its calls are known by.
    pub(super) const ROUND: [Self; 2] = [
        Self::new(Command::Add, Aspect::Latency),
        Self::new(Command::Del, Aspect::Latency),
    ];

    pub(super) const fn new(command: Command, aspect: Aspect) -> Self {
        Self { command, aspect }
    }

    /// Another aspect of the same calls.
    pub(super) fn but(self, aspect: Aspect) -> Self {
        Self { aspect, ..self }
    }
}
