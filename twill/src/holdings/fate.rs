//! Whether an attachment is dead.

use std::time::{Duration, SystemTime};

use living::{Living, Namespace, Namespaces};
use node::{Sighting, Sightings};

use super::{Holding, HoldingAge};

/// What is known about the living, once the holdings have been read.
#[derive(Debug)]
pub(crate) struct Inquest<'a> {
    /// What the sources have reported that were asked.
    pub(crate) living: &'a Living,
    /// What the kernel knows, whoever was asked.
    pub(crate) namespaces: &'a Namespaces,
    /// The addresses on links of containers.
    pub(crate) sightings: &'a Sightings,
    pub(crate) now: SystemTime,
    /// How old a holding has to be.
    pub(crate) older_than: Duration,
}

/// Whether an attachment is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is: nobody needs what it holds.
    Dead(String),
    /// It is alive, or a process runs with its interface.
    Alive(String),
    /// Nobody can tell yet.
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
        if self.older_than.is_zero() {
            return Fate::Dead(verdict.reason);
        }
        let limit = humantime::format_duration(self.older_than);
        match holding.age() {
            HoldingAge::EarlierBoot => {
                Fate::Dead(format!("{}; given in an earlier boot", verdict.reason))
            }
            HoldingAge::Since(since) => {
                // A time in the future is one of a clock that was set back.
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

    /// Where another container has an address of a holding. Once it is released, a third container
    /// would get it.
    fn of_another(&self, holding: &Holding, own: Option<&Namespace>) -> Option<&Sighting> {
        let alias = holding.alias();
        let is_of_another = |sighting: &&Sighting| match &sighting.alias {
            Some(other) => alias.as_ref() != Some(other),
            None => own.is_none_or(|own| own.path != sighting.netns),
        };
        let addresses = holding.leases.iter().map(|lease| lease.address);
        let mut sightings = addresses.flat_map(|it| self.sightings.of_address(it));
        sightings.find(is_of_another)
    }
}
