//! Faults of host-local's own files.

use allocator::StoreKind;
use node::Network;

use super::unreadable::remedy;
use super::{Facts, Fault, Repair};

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let mut faults = Vec::new();
    for stores in &facts.node.stores {
        if let Err(problem) = &stores.database {
            let (kind, command) = match problem.is_damage() {
                true => (
                    "damaged-database",
                    "restore the file, or stop all containers and remove it",
                ),
                false => ("unreadable", remedy(facts)),
            };
            faults.push(Fault {
                kind,
                subject: stores.data_dir.join(".addresses.db").display().to_string(),
                evidence: problem.to_string(),
                effect: "no container of a network with \"backend\": \"db\" can come or go",
                command: command.to_owned(),
                repair: None,
            });
        }
        let in_files = stores.files.iter().flatten();
        let unread = in_files.filter_map(|network| network.records.as_ref().err());
        for problem in unread.chain(stores.files.as_ref().err()) {
            faults.push(Fault {
                kind: "unreadable",
                subject: stores.data_dir.display().to_string(),
                evidence: problem.to_string(),
                effect: "no container can be added or deleted",
                command: remedy(facts).to_owned(),
                repair: None,
            });
        }
    }
    let networks = facts.node.networks.iter();
    faults.extend(networks.filter_map(in_other_backend));
    for (network, data_dir, address) in &facts.host.false_indexes {
        faults.push(Fault {
            kind: "false-index",
            subject: data_dir
                .join(".index")
                .join(network.as_str())
                .display()
                .to_string(),
            evidence: format!(
                "it lacks the owner that the file of {address} names: somebody has edited the file"
            ),
            effect: "an ADD or a GC may miss an address until the index is rebuilt",
            command: "twill repair false-index --apply".to_owned(),
            repair: Some(Repair::RemoveIndex {
                network: network.clone(),
                data_dir: data_dir.clone(),
            }),
        });
    }
    faults
}

/// Addresses that are not where the network's configuration says.
fn in_other_backend(network: &Network) -> Option<Fault> {
    let backend = network.backend?;
    let elsewhere = network.leases.iter().filter(|it| it.store != backend);
    let count = elsewhere.count();
    let (place, other) = match backend {
        StoreKind::Disk => ("the database", StoreKind::Db),
        StoreKind::Db => ("files", StoreKind::Disk),
    };
    let name = &network.name;
    (count > 0).then(|| Fault {
        kind: "other-backend",
        subject: format!("network {name}"),
        evidence: format!(
            "{count} of its addresses are in {place}, and its configuration has \"backend\": \
             \"{backend}\""
        ),
        effect: "no container of the network can be added",
        command: format!(
            "set \"backend\" to \"{other}\" in the network's ipam, or twill convert {backend} {name}"
        ),
        repair: None,
    })
}
