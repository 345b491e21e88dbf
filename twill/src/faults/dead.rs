//! Holdings of dead attachments.

use super::{Facts, Fault, Repair};
use crate::holdings::Holding;

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let dead = facts.dead.iter();
    dead.map(|(holding, reason)| of(holding, reason)).collect()
}

fn of(holding: &Holding, reason: &str) -> Fault {
    let (kind, effect) = if !holding.leases.is_empty() {
        (
            "dead-lease",
            "no other container can have the address: the range runs out of them",
        )
    } else if holding.kept.is_some() {
        (
            "kept-without-container",
            "rules and links of its container may be left, and the file stays for ever",
        )
    } else {
        (
            "link-without-container",
            "the link stays plugged into the bridge, and may answer for an address",
        )
    };
    Fault {
        kind,
        subject: holding.in_words(),
        evidence: reason.to_owned(),
        effect,
        command: format!("twill repair {kind} --apply"),
        repair: Some(Repair::Free(Box::new(holding.clone()))),
    }
}
