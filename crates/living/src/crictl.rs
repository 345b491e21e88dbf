//! The pods of containerd's CRI plugin, CRI-O or another runtime of Kubernetes:
//! `crictl pods --output json`.

use serde::Deserialize;

use crate::program::{json, run};
use crate::{Container, LivingError, State};

/// A message of the CRI, `ListPodSandboxResponse`, in protobuf's JSON.
#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    items: Vec<Sandbox>,
}

#[derive(Deserialize)]
struct Sandbox {
    id: String,
    #[serde(default)]
    metadata: Metadata,
    state: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    namespace: String,
}

/// The words for a sandbox whose process has ended. kubelet stops it, and starts another one.
const ENDED: &[&str] = &["SANDBOX_NOTREADY"];

pub(crate) fn ask() -> Result<Vec<Container>, LivingError> {
    parse(&run("crictl", &["pods", "--output", "json"])?)
}

/// The sandboxes, whose IDs are the container IDs of CNI.
pub(crate) fn parse(output: &[u8]) -> Result<Vec<Container>, LivingError> {
    let response: Response = json("crictl", output)?;
    let containers = response.items.into_iter().map(|sandbox| {
        let Metadata { name, namespace } = sandbox.metadata;
        Container {
            name: (!name.is_empty()).then(|| format!("{namespace}/{name}")),
            state: State::of(&sandbox.state, ENDED),
            id: sandbox.id,
            pid: None,
        }
    });
    Ok(containers.collect())
}
