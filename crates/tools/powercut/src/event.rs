//! What the machine says of its work.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use anyhow::{Context, Error, bail};

use crate::attachment::Attachment;

/// Something that is about to happen to an attachment, or has. Written as a line of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) attachment: Attachment,
    pub(crate) step: Step,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// ADD begins.
    Adds,
    /// ADD has succeeded with this address.
    Added(Ipv4Addr),
    /// DEL begins.
    Deletes,
    /// DEL has succeeded.
    Deleted,
}

/// Comes before an event on its line.
const MARK: &str = "powercut> ";

impl Event {
    /// The events among other lines. The last line is of no use if it was cut.
    pub(crate) fn all_in(text: &str) -> impl Iterator<Item = Result<Self, Error>> {
        let whole = text.rfind('\n').and_then(|end| text.get(..end));
        let lines = whole.unwrap_or_default().lines();
        lines.filter_map(|line| Some(line.split_once(MARK)?.1.parse()))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{} ", self.attachment)?;
        match self.step {
            Step::Adds => write!(f, "adds"),
            Step::Added(address) => write!(f, "added {address}"),
            Step::Deletes => write!(f, "deletes"),
            Step::Deleted => write!(f, "deleted"),
        }
    }
}

/// Without the mark.
impl FromStr for Event {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (attachment, step) = text
            .split_once(' ')
            .with_context(|| format!("`{text}` is no event"))?;
        let step = match step.split_once(' ') {
            None if step == "adds" => Step::Adds,
            Some(("added", address)) => Step::Added(address.parse()?),
            None if step == "deletes" => Step::Deletes,
            None if step == "deleted" => Step::Deleted,
            _ => bail!("`{step}` is no step of a call"),
        };
        Ok(Self {
            attachment: attachment.parse()?,
            step,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_they_are_written() {
        let attachment: Attachment = "db/c1-2/eth0".parse().unwrap();
        let steps = [
            Step::Adds,
            Step::Added(Ipv4Addr::new(10, 244, 2, 7)),
            Step::Deletes,
            Step::Deleted,
        ];
        let events = steps.map(|step| Event {
            attachment: attachment.clone(),
            step,
        });
        let lines = events.clone().map(|event| format!("noise\nnoise{event}\n"));
        let console = lines.concat() + "powercut> db/c1-2/eth0 add";
        let read: Vec<Event> = Event::all_in(&console).map(Result::unwrap).collect();
        assert_eq!(read, events);
    }
}
