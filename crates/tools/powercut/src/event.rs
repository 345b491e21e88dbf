//! Events: what the machine reports of its work on its console.

use std::fmt;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// How `host-local` keeps a network's addresses; there is one network of each kind, named after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub(crate) enum StoreKind {
    /// A file per address.
    Disk,
    /// A database.
    Db,
}

impl StoreKind {
    pub(crate) const ALL: [Self; 2] = [Self::Disk, Self::Db];

    /// The value of the key `backend`, and the network's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Db => "db",
        }
    }

    /// Whether a success outlives a power cut.
    pub(crate) fn is_durable(self) -> bool {
        self == Self::Db
    }
}

/// An interface of a container in a network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub(crate) struct Attachment {
    pub(crate) network: StoreKind,
    pub(crate) container: String,
    pub(crate) ifname: String,
}

/// `<network>/<container>/<interface>`.
impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = self.network.name();
        write!(f, "{network}/{}/{}", self.container, self.ifname)
    }
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Progress {
    /// ADD begins.
    Adds,
    /// ADD has succeeded with this address.
    Added(Ipv4Addr),
    /// DEL begins.
    Deletes,
    /// DEL has succeeded.
    Deleted,
}

/// Something that is about to happen to an attachment, or has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Event {
    pub(crate) attachment: Attachment,
    pub(crate) progress: Progress,
}

/// Comes before an event, which is JSON, on its line.
const MARK: &str = "powercut> ";

impl Event {
    /// The event's line.
    pub(crate) fn line(&self) -> Result<String> {
        Ok(format!("{MARK}{}\n", serde_json::to_string(self)?))
    }

    /// The events among other lines. The last line is of no use if it was cut.
    pub(crate) fn all_in(text: &str) -> impl Iterator<Item = Result<Self>> {
        let whole = text.rfind('\n').and_then(|end| text.get(..end));
        let lines = whole.unwrap_or_default().lines();
        let events = lines.filter_map(|line| line.split_once(MARK));
        events.map(|(_, json)| {
            serde_json::from_str(json).with_context(|| format!("`{json}` is no event"))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn event(network: StoreKind, container: &str, progress: Progress) -> Event {
        let (container, ifname) = (container.to_owned(), "eth0".to_owned());
        let attachment = Attachment {
            network,
            container,
            ifname,
        };
        Event {
            attachment,
            progress,
        }
    }

    #[test]
    fn events_are_read_as_they_are_written() {
        let address = Ipv4Addr::new(10, 244, 2, 7);
        let all = [
            Progress::Adds,
            Progress::Added(address),
            Progress::Deletes,
            Progress::Deleted,
        ];
        let events = all.map(|progress| event(StoreKind::Db, "c1-2", progress));
        let lines = events
            .clone()
            .map(|event| "noise\nnoise".to_owned() + &event.line().unwrap());
        let console = lines.concat() + "powercut> {\"attachment\":{\"network\":\"Db\"";
        let read: Vec<Event> = Event::all_in(&console).map(Result::unwrap).collect();
        assert_eq!(read, events);
    }
}
