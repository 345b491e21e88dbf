//! What dead attachments hold.

use super::{Facts, Fault, Repair};
use crate::holdings::Holding;

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let dead = match &facts.dead {
        Ok(dead) => dead,
        Err(error) => return vec![unreadable(error)],
    };
    let dead = dead.iter().map(|(holding, reason)| of(holding, reason));
    let garbled = facts.node.kept.iter().flat_map(|kept| {
        let files = kept.files.iter().flatten();
        files.filter(|file| file.kept.is_none())
    });
    let garbled = garbled.map(|file| Fault {
        kind: "garbled-kept-configuration",
        subject: file.path.display().to_string(),
        evidence: "the file is no configuration, as after a power cut".to_owned(),
        effect: "a DEL of its container has to guess the configuration",
        command: "twill repair garbled-kept-configuration --apply".to_owned(),
        repair: Some(Repair::RemoveGarbledKept(file.path.clone())),
    });
    dead.chain(garbled).collect()
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

fn unreadable(error: &str) -> Fault {
    Fault {
        kind: "unreadable",
        subject: "what attachments hold".to_owned(),
        evidence: error.to_owned(),
        effect: "nobody can tell which addresses are dead",
        command: "repair or move away what the evidence names".to_owned(),
        repair: None,
    }
}
