//! The rollback of an ADD: steps that the ADD records, and that are carried out in reverse if it
//! fails.

use std::fmt;

use cni_plugin::Log;
use cni_types::Error;
use netlink::{Change, LinkChange, Rtnetlink};

use crate::{Ipam, Sandbox, settings};

/// A step of the rollback in the container, or by its IPAM plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UndoInContainer {
    /// Remove the container's link.
    RemoveLink {
        /// Its index in the container.
        link: u32,
    },
    /// Set a link of the container down.
    SetDown {
        /// Its index in the container.
        link: u32,
    },
    /// Restore IPv6 of the container's `lo`.
    RestoreIpv6OfLo {
        /// The former value of `disable_ipv6`.
        disable_ipv6: String,
    },
    /// Let the IPAM plugin release the addresses.
    ReleaseAddresses,
}

impl fmt::Display for UndoInContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveLink { link } => write!(f, "remove link {link} from the container"),
            Self::SetDown { link } => write!(f, "set link {link} of the container down"),
            Self::RestoreIpv6OfLo { disable_ipv6 } => {
                write!(f, "set disable_ipv6 of lo to {disable_ipv6}")
            }
            Self::ReleaseAddresses => f.write_str("release the addresses"),
        }
    }
}

/// The open namespace, socket and IPAM plugin of an ADD, which its steps need.
#[derive(Debug)]
pub struct InContainer<'a> {
    /// The container's namespace.
    pub sandbox: &'a Sandbox,
    /// The ADD's socket there.
    pub inside: &'a mut Rtnetlink,
    /// The IPAM plugin, if the network has one.
    pub ipam: Option<&'a Ipam<'a>>,
}

impl InContainer<'_> {
    /// Carries out a step.
    ///
    /// # Errors
    /// If the kernel refuses, the namespace cannot be entered, or the IPAM plugin fails.
    pub fn carry_out(&mut self, step: &UndoInContainer) -> Result<(), Error> {
        match step {
            UndoInContainer::RemoveLink { link } => Ok(self.inside.remove_links(&[*link])?),
            UndoInContainer::SetDown { link } => {
                let down = Change::SetLink {
                    link: *link,
                    change: LinkChange::up(false),
                };
                Ok(self.inside.apply(&[down])?)
            }
            UndoInContainer::RestoreIpv6OfLo { disable_ipv6 } => self
                .sandbox
                .enter(|| settings::disable_ipv6_of_lo(disable_ipv6).map_err(Error::from)),
            UndoInContainer::ReleaseAddresses => {
                self.ipam.map_or(Ok(()), |ipam| Ok(ipam.release()?))
            }
        }
    }
}

/// The outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The step was carried out.
    Yes,
    /// Another container uses by now what the step would remove, so it was skipped.
    Needed,
}

/// The steps that an ADD has recorded. The ADD is committed by leaving them alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Rollback<S> {
    /// In the order of the ADD.
    steps: Vec<S>,
}

impl<S> Default for Rollback<S> {
    fn default() -> Self {
        let steps = Vec::new();
        Self { steps }
    }
}

impl<S: fmt::Display> Rollback<S> {
    /// Records the undo of the last or the next change.
    pub fn record(&mut self, step: impl Into<S>) {
        self.steps.push(step.into());
    }

    /// Records a step that is carried out after all others, whatever is recorded later.
    pub fn record_last(&mut self, step: impl Into<S>) {
        self.steps.insert(0, step.into());
    }

    /// Leaves everything to DEL, for example because the thread cannot return from another
    /// namespace.
    pub fn abandon(&mut self, log: &Log) {
        for step in self.steps.drain(..) {
            log.error(format_args!("left for DEL: {step}"));
        }
    }

    /// Carries out the steps by `undo`, the last first. A step that fails is logged and left to
    /// DEL; the runtime gets the error of the ADD.
    pub fn carry_out(self, log: &Log, mut undo: impl FnMut(&S) -> Result<Undone, Error>) {
        for step in self.steps.iter().rev() {
            match undo(step) {
                Ok(Undone::Yes) => log.info(format_args!("undone: {step}")),
                Ok(Undone::Needed) => log.info(format_args!("left, others need it: {step}")),
                Err(error) => log.error(format_args!("left for DEL: cannot {step}: {error}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cni_types::Code;

    use super::*;

    const LINK: UndoInContainer = UndoInContainer::RemoveLink { link: 7 };

    fn lo() -> UndoInContainer {
        let disable_ipv6 = "1".to_owned();
        UndoInContainer::RestoreIpv6OfLo { disable_ipv6 }
    }

    fn recorded() -> Rollback<UndoInContainer> {
        let mut rollback = Rollback::default();
        rollback.record(LINK);
        rollback.record_last(UndoInContainer::ReleaseAddresses);
        rollback.record(lo());
        rollback
    }

    #[test]
    fn the_last_step_is_carried_out_first_whatever_becomes_of_it() {
        let mut order = Vec::new();
        recorded().carry_out(&Log::default(), |step| {
            order.push(step.clone());
            match step {
                UndoInContainer::RemoveLink { .. } => Ok(Undone::Needed),
                UndoInContainer::ReleaseAddresses => Ok(Undone::Yes),
                _ => Err(Error::new(Code::IO_FAILURE, "no")),
            }
        });
        assert_eq!(order, [lo(), LINK, UndoInContainer::ReleaseAddresses]);
    }

    #[test]
    fn an_abandoned_rollback_has_no_steps() {
        let mut rollback = recorded();
        rollback.abandon(&Log::default());
        assert_eq!(rollback, Rollback::default());
    }

    #[test]
    fn steps_say_what_they_do() {
        let steps = [
            LINK,
            UndoInContainer::SetDown { link: 1 },
            lo(),
            UndoInContainer::ReleaseAddresses,
        ];
        assert_eq!(
            steps.map(|step| step.to_string()),
            [
                "remove link 7 from the container",
                "set link 1 of the container down",
                "set disable_ipv6 of lo to 1",
                "release the addresses",
            ]
        );
    }
}
