//! Whether an attachment is dead.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use living::{Living, Namespace, Namespaces};
use node::{Sighting, Sightings};

use super::{Holding, HoldingAge};

/// The evidence for living containers, collected after the holdings were read.
#[derive(Debug)]
pub(crate) struct Inquest<'a> {
    /// The reports of the sources that were asked.
    pub(crate) living: &'a Living,
    /// The network namespaces, which are read whichever sources were asked.
    pub(crate) namespaces: &'a Namespaces,
    /// The addresses on links of containers.
    pub(crate) sightings: &'a Sightings,
    pub(crate) now: SystemTime,
    /// The minimum age of a holding that may be freed.
    pub(crate) older_than: Duration,
}

/// Whether an attachment is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is dead, for this reason: its holdings can be freed.
    Dead(String),
    /// It is alive, or a process runs in a namespace with its interface.
    Alive(String),
    /// The evidence does not suffice, for this reason.
    Unclear(String),
}

impl Inquest<'_> {
    /// Whether the attachment of a holding is dead, and why.
    pub(crate) fn fate(&self, holding: &Holding) -> Fate {
        let (verdict, namespace) = holding.with_subject(|subject| {
            let namespace = self.namespaces.of(subject).cloned();
            (self.living.verdict(subject, self.namespaces), namespace)
        });
        if verdict.is_alive {
            return Fate::Alive(verdict.reason);
        }
        if let Some(namespace) = namespace.as_ref().filter(|it| it.has_process) {
            return Fate::Alive(format!(
                "a process runs in its namespace, {namespace}; {}",
                verdict.reason
            ));
        }
        if let Some(sighting) = self.of_another(holding, namespace.as_ref()) {
            let address = sighting.address.ip();
            return Fate::Unclear(format!(
                "{address} is {sighting}, which is another container's: delete that one first"
            ));
        }
        let age = holding.age();
        if let Some(doubt) = self.sightings.doubt()
            && age != HoldingAge::EarlierBoot
        {
            return Fate::Unclear(format!("{}, but {doubt}", verdict.reason));
        }
        if self.older_than.is_zero() {
            return Fate::Dead(verdict.reason);
        }
        let limit = humantime::format_duration(self.older_than);
        match age {
            HoldingAge::EarlierBoot => {
                Fate::Dead(format!("{}; given in an earlier boot", verdict.reason))
            }
            HoldingAge::Since(since) => {
                // The clock was set back if the time is in the future: then the age counts as 0.
                let age = self.now.duration_since(since).unwrap_or_default();
                if age >= self.older_than {
                    Fate::Dead(verdict.reason)
                } else {
                    Fate::Unclear(format!("younger than {limit}: it may be starting"))
                }
            }
            HoldingAge::Unknown if namespace.is_some() || !holding.links.is_empty() => {
                Fate::Unclear(
                    "its age is not recorded, and its interface exists: --older-than 0s frees it"
                        .to_owned(),
                )
            }
            HoldingAge::Unknown => Fate::Dead(verdict.reason),
        }
    }

    /// The link of another container that has an address of the holding. If the address were
    /// released, a third container could get it.
    fn of_another(&self, holding: &Holding, own: Option<&Namespace>) -> Option<&Sighting> {
        let alias = holding.alias();
        let is_of_another = |sighting: &&Sighting| match &sighting.alias {
            Some(other) => alias.as_ref() != Some(other),
            None => own.is_none_or(|own| own.path != sighting.netns),
        };
        let addresses = holding.leases.iter().map(|lease| lease.address);
        let sightings = addresses.flat_map(|it| self.sightings.of_address(it));
        let mut sightings = sightings.map(Rc::as_ref);
        sightings.find(is_of_another)
    }
}
