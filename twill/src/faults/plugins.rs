//! The plugins' binaries.

use node::{Binary, Origin};

use super::{Facts, Fault};
use crate::plugins::PLUGINS;

pub(super) fn find(facts: &Facts) -> Vec<Fault> {
    facts.binaries.iter().filter_map(of).collect()
}

fn of(binary: &Binary) -> Option<Fault> {
    let name = &binary.name;
    let subject = match &binary.path {
        Some(path) => path.display().to_string(),
        None => name.clone(),
    };
    match &binary.origin {
        Err(problem) => Some(Fault {
            kind: "missing-plugin",
            subject,
            evidence: problem.to_string(),
            effect: "no container can be added",
            command: "twill install, or correct the type in the network configuration".to_owned(),
            repair: None,
        }),
        Ok(Origin::Other(report)) if is_another_plugin(name, report) => Some(Fault {
            kind: "foreign-plugin",
            subject,
            evidence: format!("it is called {name}, and reports: {report}"),
            effect: "every ADD fails, or calls plugins without end",
            command: "twill install; then remove what copies files over it, such as the init \
                      container of flannel's manifest"
                .to_owned(),
            repair: None,
        }),
        Ok(_) => None,
    }
}

/// Whether a binary reports that it is another plugin than its name says: `CNI Plugin flannel
/// version v1.2.0`, `CNI bridge plugin v1.1.1`.
fn is_another_plugin(name: &str, report: &str) -> bool {
    let words: Vec<&str> = report.split_whitespace().collect();
    let named = PLUGINS.names().find(|known| words.contains(known));
    named.is_some_and(|named| named != name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_is_known_by_what_it_reports() {
        for (name, report, is_another) in [
            ("bridge", "CNI bridge plugin v1.1.1", false),
            (
                "bridge",
                "CNI Plugin flannel version v1.4.0 (linux/amd64) commit x",
                true,
            ),
            (
                "flannel",
                "CNI Plugin flannel version v1.4.0 (linux/amd64) commit x",
                false,
            ),
            ("portmap", "CNI portmap plugin 1.0.0", false),
            ("my-own", "my own plugin", false),
        ] {
            assert_eq!(
                is_another_plugin(name, report),
                is_another,
                "{name}: {report}"
            );
        }
    }
}
