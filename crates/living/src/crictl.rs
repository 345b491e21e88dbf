//! The pods of containerd's CRI plugin, CRI-O or another runtime of Kubernetes:
//! `crictl pods --output json`.

use serde::Deserialize;

use crate::program::{json, run};
use crate::{Container, LivingError, State};

/// A message of the CRI, `ListPodSandboxResponse`, in protobuf's JSON. A field that is not set is
/// missing or, in older versions of crictl, `null`.
#[derive(Deserialize)]
struct Response {
    items: Option<Vec<Sandbox>>,
}

#[derive(Deserialize)]
struct Sandbox {
    id: String,
    metadata: Option<Metadata>,
    /// The default of the enumeration is `SANDBOX_READY`.
    state: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    namespace: String,
}

/// The word for a sandbox whose process runs.
const READY: &str = "SANDBOX_READY";

/// The words for a sandbox whose process has ended. kubelet stops it, and starts another one.
const ENDED: &[&str] = &["SANDBOX_NOTREADY"];

pub(crate) fn ask() -> Result<Vec<Container>, LivingError> {
    parse(&run("crictl", &["pods", "--output", "json"])?)
}

/// The sandboxes, whose IDs are the container IDs of CNI.
pub(crate) fn parse(output: &[u8]) -> Result<Vec<Container>, LivingError> {
    let response: Response = json("crictl", output)?;
    let sandboxes = response.items.into_iter().flatten();
    let containers = sandboxes.map(|sandbox| {
        let Metadata { name, namespace } = sandbox.metadata.unwrap_or_default();
        Container {
            name: (!name.is_empty()).then(|| format!("{namespace}/{name}")),
            state: State::of(sandbox.state.as_deref().unwrap_or(READY), ENDED),
            id: sandbox.id,
            pid: None,
        }
    });
    Ok(containers.collect())
}
