//! What is known of the attachments from what the machine has said.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::attachment::{Attachment, Backend};
use crate::event::{Event, Step};

/// How far each attachment has come: those of this boot, and those of boots whose traces are not
/// removed yet.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    old: BTreeMap<Attachment, Step>,
    new: BTreeMap<Attachment, Step>,
}

impl Ledger {
    /// Takes an event in.
    ///
    /// # Errors
    /// If an address was given that another attachment of this boot holds.
    pub(super) fn note(&mut self, event: Event) -> Result<()> {
        let Event { attachment, step } = event;
        if let Step::Added(address) = step {
            let network = attachment.network;
            let of_network = self.new.iter().filter(|(of, _)| of.network == network);
            let mut others = of_network.filter(|(of, _)| **of != attachment);
            let holder = others.find(|(_, held)| **held == step);
            ensure!(
                holder.is_none(),
                "{address} was given to {attachment}, but {} holds it",
                holder.map_or_else(String::new, |(holder, _)| holder.to_string())
            );
        }
        self.old.remove(&attachment);
        self.new.insert(attachment, step);
        Ok(())
    }

    /// Forgets everything: nothing of it is left.
    pub(super) fn clear(&mut self) {
        self.old.clear();
        self.new.clear();
    }

    /// All containers are gone, and what the disk has of them may be anything.
    pub(super) fn reboot(&mut self) {
        self.old.append(&mut self.new);
    }

    /// How far the attachments of this boot have come in a network.
    pub(super) fn new_of<'a>(&'a self, network: Backend) -> impl Iterator<Item = &'a Step> + Clone {
        let of_network =
            move |(of, step): (&'a Attachment, &'a Step)| (of.network == network).then_some(step);
        self.new.iter().filter_map(of_network)
    }

    /// The last event of each attachment of earlier boots.
    pub(super) fn old(&self) -> impl Iterator<Item = Event> {
        self.old.iter().map(|(attachment, step)| Event {
            attachment: attachment.clone(),
            step: *step,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(ledger: &mut Ledger, event: &str) -> Result<()> {
        ledger.note(event.parse()?)
    }

    #[test]
    fn an_address_has_one_holder_at_a_time() {
        let mut ledger = Ledger::default();
        noted(&mut ledger, "db/a/eth0 added 10.0.0.2").unwrap();
        noted(&mut ledger, "disk/a/eth0 added 10.0.0.2").unwrap();
        let error = noted(&mut ledger, "db/b/eth0 added 10.0.0.2").unwrap_err();
        assert_eq!(
            error.to_string(),
            "10.0.0.2 was given to db/b/eth0, but db/a/eth0 holds it"
        );
        noted(&mut ledger, "db/a/eth0 deletes").unwrap();
        noted(&mut ledger, "db/b/eth0 added 10.0.0.2").unwrap();
    }

    #[test]
    fn after_a_reboot_addresses_are_free() {
        let mut ledger = Ledger::default();
        for event in ["db/a/eth0 added 10.0.0.2", "db/b/eth0 adds"] {
            noted(&mut ledger, event).unwrap();
        }
        ledger.reboot();
        noted(&mut ledger, "db/c/eth0 added 10.0.0.2").unwrap();
        noted(&mut ledger, "db/b/eth0 deletes").unwrap();
        let old: Vec<Event> = ledger.old().collect();
        assert_eq!(old, ["db/a/eth0 added 10.0.0.2".parse().unwrap()]);
        ledger.reboot();
        assert_eq!(ledger.old().count(), 3);
    }
}
