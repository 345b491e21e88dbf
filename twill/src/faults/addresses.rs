//! Addresses that two containers claim, or that none can get.

use std::collections::BTreeSet;

use allocator::Unowned;
use node::{Death, Life, Sighting};

use super::{Facts, Fault, Repair};

/// The share of a range in use from which on it is nearly exhausted, in percent.
const NEARLY: u128 = 90;

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    let mut faults = Vec::new();
    for network in &facts.node.networks {
        for lease in &network.leases {
            let file = network.data_dir.join(network.name.as_str());
            let file = file.join(lease.address.to_string());
            match (&lease.owner, &lease.life) {
                (Err(Unowned::Debris), _) => faults.push(Fault {
                    kind: "garbled-address-file",
                    subject: file.display().to_string(),
                    evidence: "the file is empty or garbled, as after a power cut".to_owned(),
                    effect: "the Go plugins never give the address again",
                    command: "twill repair garbled-address-file --apply".to_owned(),
                    repair: Some(Repair::RemoveDebris {
                        network: network.name.clone(),
                        address: lease.address,
                        data_dir: network.data_dir.clone(),
                    }),
                }),
                (Err(unowned), _) => faults.push(Fault {
                    kind: "blocked-address",
                    subject: file.display().to_string(),
                    evidence: match unowned {
                        Unowned::NotAFile => "it is no regular file",
                        _ => "its text names no container: somebody wrote it",
                    }
                    .to_owned(),
                    effect: "no container can have the address",
                    command: format!("rm {}, unless it is there on purpose", file.display()),
                    repair: None,
                }),
                (Ok(owner), Some(Life::Dead(Death::Elsewhere(sighting)))) => faults.push(Fault {
                    kind: "address-of-another",
                    subject: format!("{} in {}", lease.address, network.name),
                    evidence: format!(
                        "it is leased to {}, and is on {}",
                        owner.in_words(),
                        place(sighting)
                    ),
                    effect: "a third container may get the address once the lease is released",
                    command: format!(
                        "delete the container of {} by its runtime, or add it again",
                        place(sighting)
                    ),
                    repair: None,
                }),
                _ => {}
            }
        }
        for used in network.range_use() {
            if used.size > 0 && used.used as u128 * 100 >= used.size * NEARLY {
                faults.push(Fault {
                    kind: "range-nearly-exhausted",
                    subject: format!("{} in {}", used.set, network.name),
                    evidence: format!(
                        "{} of {} addresses are in use, {} of them by dead containers",
                        used.used, used.size, used.dead
                    ),
                    effect: "soon no container can be added",
                    command: "twill gc --from RUNTIME --apply, or a larger subnet".to_owned(),
                    repair: None,
                });
            }
        }
    }
    let mut seen: Vec<_> = facts.node.sightings.addresses().collect();
    seen.sort_unstable_by_key(|(address, _)| *address);
    for (address, sightings) in seen {
        let places: BTreeSet<String> = sightings.iter().map(|it| place(it)).collect();
        if places.len() > 1 {
            faults.push(Fault {
                kind: "duplicate-address",
                subject: address.to_string(),
                evidence: format!("it is on {}", Vec::from_iter(places).join(" and ")),
                effect: "packets go to either container",
                command: "delete one of the containers by its runtime".to_owned(),
                repair: None,
            });
        }
    }
    faults
}

fn place(sighting: &Sighting) -> String {
    format!("{} in {}", sighting.link, sighting.netns.display())
}
