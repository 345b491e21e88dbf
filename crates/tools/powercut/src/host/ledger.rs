//! The ledger: how far each attachment has come, by the machine's events.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::event::{Attachment, Event, Progress, StoreKind};

/// How far each attachment has come: those of this boot, and those of boots whose traces are not
/// removed yet.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    old: BTreeMap<Attachment, Progress>,
    new: BTreeMap<Attachment, Progress>,
}

impl Ledger {
    /// Takes an event in.
    ///
    /// # Errors
    /// If an address was given that another attachment of this boot holds.
    pub(super) fn note(&mut self, event: Event) -> Result<()> {
        let Event {
            attachment,
            progress,
        } = event;
        if let Progress::Added(address) = progress {
            let network = attachment.network;
            let of_network = self.new.iter().filter(|(of, _)| of.network == network);
            let mut others = of_network.filter(|(of, _)| **of != attachment);
            let holder = others.find(|(_, held)| **held == progress);
            ensure!(
                holder.is_none(),
                "{address} was given to {attachment}, but {} holds it",
                holder.map_or_else(String::new, |(holder, _)| holder.to_string())
            );
        }
        self.old.remove(&attachment);
        self.new.insert(attachment, progress);
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
    pub(super) fn new_of<'a>(
        &'a self,
        network: StoreKind,
    ) -> impl Iterator<Item = &'a Progress> + Clone {
        let of_network = move |(of, progress): (&'a Attachment, &'a Progress)| {
            (of.network == network).then_some(progress)
        };
        self.new.iter().filter_map(of_network)
    }

    /// The last event of each attachment of earlier boots.
    pub(super) fn old(&self) -> impl Iterator<Item = Event> {
        self.old.iter().map(|(attachment, progress)| Event {
            attachment: attachment.clone(),
            progress: *progress,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::event::tests::event;

    const ADDED: Progress = Progress::Added(Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn an_address_has_one_holder_at_a_time() {
        let mut ledger = Ledger::default();
        ledger.note(event(StoreKind::Db, "a", ADDED)).unwrap();
        ledger.note(event(StoreKind::Disk, "a", ADDED)).unwrap();
        let error = ledger.note(event(StoreKind::Db, "b", ADDED)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "10.0.0.2 was given to db/b/eth0, but db/a/eth0 holds it"
        );
        ledger
            .note(event(StoreKind::Db, "a", Progress::Deletes))
            .unwrap();
        ledger.note(event(StoreKind::Db, "b", ADDED)).unwrap();
    }

    #[test]
    fn after_a_reboot_addresses_are_free() {
        let mut ledger = Ledger::default();
        ledger.note(event(StoreKind::Db, "a", ADDED)).unwrap();
        ledger
            .note(event(StoreKind::Db, "b", Progress::Adds))
            .unwrap();
        ledger.reboot();
        ledger.note(event(StoreKind::Db, "c", ADDED)).unwrap();
        ledger
            .note(event(StoreKind::Db, "b", Progress::Deletes))
            .unwrap();
        let old: Vec<Event> = ledger.old().collect();
        assert_eq!(old, [event(StoreKind::Db, "a", ADDED)]);
        ledger.reboot();
        assert_eq!(ledger.old().count(), 3);
    }
}
