//! How many leases of a network are in each state.

use node::{Life, Network};
use serde::Serialize;

/// How many leases of a network are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct States {
    pub(crate) alive: usize,
    pub(crate) dead: usize,
    pub(crate) unknown: usize,
    /// Address files that name no owner.
    pub(crate) unowned: usize,
}

impl States {
    /// Each state's name and number.
    pub(crate) fn by_name(&self) -> [(&'static str, usize); 4] {
        [
            ("alive", self.alive),
            ("dead", self.dead),
            ("unknown", self.unknown),
            ("unowned", self.unowned),
        ]
    }

    /// The number of leases.
    pub(crate) fn sum(&self) -> usize {
        self.alive + self.dead + self.unknown + self.unowned
    }

    pub(crate) fn of(network: &Network) -> Self {
        let mut states = Self::default();
        for lease in &network.leases {
            *match lease.life {
                Some(Life::Alive(_)) => &mut states.alive,
                Some(Life::Dead(_)) => &mut states.dead,
                Some(Life::Unknown(_)) => &mut states.unknown,
                None => &mut states.unowned,
            } += 1;
        }
        states
    }
}
