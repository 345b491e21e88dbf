//! The configurations that flannel keeps for DEL.

use node::{Kept, KeptFile};

use super::{Facts, Fault, Repair};

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let files = facts.node.kept.iter();
    let files = files.flat_map(|kept| kept.files.iter().flatten());
    files.filter_map(of).collect()
}

fn of(file: &KeptFile) -> Option<Fault> {
    match &file.kept {
        None => Some(Fault {
            kind: "garbled-kept-configuration",
            subject: file.path.display().to_string(),
            evidence: "the file is no configuration, as after a power cut".to_owned(),
            effect: "a DEL of its container has to guess the configuration",
            command: "twill repair garbled-kept-configuration --apply".to_owned(),
            repair: Some(Repair::RemoveGarbledKept(file.path.clone())),
        }),
        Some(kept) if kept.failures > 0 => Some(failed(kept)),
        Some(_) => None,
    }
}

fn failed(kept: &Kept) -> Fault {
    let ifname = kept.ifname.iter().map(|ifname| format!("{ifname} of "));
    Fault {
        kind: "failed-delete",
        subject: format!(
            "{}container {}",
            ifname.collect::<String>(),
            kept.container_id
        ),
        evidence: format!("{} calls failed: {}", kept.failures, kept.last_failure),
        effect: "the runtime cannot remove the container, and repeats the call",
        command: format!(
            "mend what the evidence names; twill show {}",
            kept.container_id
        ),
        repair: None,
    }
}
