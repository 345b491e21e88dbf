//! nerdctl's containers: `nerdctl ps --all --no-trunc --format '{{json .}}'` in each of
//! containerd's namespaces.

use serde::Deserialize;

use crate::program::{json, lines, run};
use crate::{Container, LivingError, State};

const PROGRAM: &str = "nerdctl";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    names: String,
    status: String,
}

/// The first words of the status of a container that does not run: `Exited (0) 5 minutes ago`.
/// `Created` also means that it ran once, and that its task was deleted.
const ENDED: &[&str] = &["Created", "Exited", "Stopped"];

pub(crate) fn ask() -> Result<Vec<Container>, LivingError> {
    let mut containers = Vec::new();
    for namespace in lines(PROGRAM, &run(PROGRAM, &["namespace", "ls", "--quiet"])?)? {
        let words = ["--namespace", namespace];
        let list = ["ps", "--all", "--no-trunc", "--format", "{{json .}}"];
        let output = run(PROGRAM, &[&words[..], &list].concat())?;
        containers.extend(parse(&output, namespace)?);
    }
    Ok(containers)
}

/// The containers of a namespace, one JSON object per line. nerdctl's container ID for CNI is
/// `<namespace>-<ID>`; that of a pod of Kubernetes, in namespace `k8s.io`, is the ID alone.
pub(crate) fn parse(output: &[u8], namespace: &str) -> Result<Vec<Container>, LivingError> {
    let mut containers = Vec::new();
    for line in lines(PROGRAM, output)? {
        let listed: Listed = json(PROGRAM, line.as_bytes())?;
        // A container that was removed meanwhile leaves an empty entry.
        if listed.id.is_empty() {
            continue;
        }
        let word = listed.status.split_whitespace().next().unwrap_or("unknown");
        for id in [format!("{namespace}-{}", listed.id), listed.id] {
            containers.push(Container {
                id,
                name: Some(listed.names.clone()).filter(|name| !name.is_empty()),
                state: State::of(word, ENDED),
                pid: None,
            });
        }
    }
    Ok(containers)
}
