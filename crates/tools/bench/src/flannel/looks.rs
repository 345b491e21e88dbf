//! What is measured beside the rounds: memory and system calls.

use anyhow::Result;

use super::Figures;
use super::contender::{Entry, Operation};
use crate::contest::Entrant;
use crate::system_calls;

/// What can be measured on this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    pub(super) memory: bool,
    pub(super) system_calls: bool,
}

impl Looks {
    /// Makes each call once more for either.
    pub(super) fn take(self, entry: &Entry, round: usize, figures: &mut Figures) -> Result<()> {
        if self.memory {
            for operation in Operation::ALL {
                entry.run_for_peak(operation, round, figures)?;
            }
        }
        if self.system_calls {
            for operation in Operation::ALL {
                let count = system_calls::count(&entry.call(operation, round))?;
                figures.add_system_calls(operation, entry.contender(), entry.size(), count);
            }
        }
        Ok(())
    }
}
