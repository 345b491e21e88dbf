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
