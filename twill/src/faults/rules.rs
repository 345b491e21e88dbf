//! The tables of nftables.

use super::{Facts, Fault, Repair};

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let Ok(inventory) = &facts.node.firewall else {
        return Vec::new();
    };
    let flushed = inventory.flushed.iter();
    let missing: Vec<String> = flushed
        .map(|table| format!("the records in table {table} are gone"))
        .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    vec![Fault {
        kind: "flushed-rules",
        subject: "nftables".to_owned(),
        evidence: missing.join("; "),
        effect: "containers are not masqueraded, or their ports lead nowhere",
        command: "twill repair flushed-rules --apply".to_owned(),
        repair: Some(Repair::RestoreRules),
    }]
}
