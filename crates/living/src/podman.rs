//! Podman's containers: `podman ps --all --external --format json`.

use serde::Deserialize;

use crate::program::{json, run};
use crate::{Container, LivingError, State};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    pid: Option<u32>,
    state: String,
}

/// The words for a container that does not run. A container of another program, such as one in
/// which buildah builds an image, is in state `storage`, and may run.
const ENDED: &[&str] = &["configured", "created", "exited", "removing", "stopped"];

pub(crate) fn ask() -> Result<Vec<Container>, LivingError> {
    let words = ["ps", "--all", "--external", "--format", "json"];
    parse(&run("podman", &words)?)
}

/// The containers. Podman notices the end of a container by the exit of conmon: if somebody kills
/// both, podman goes on listing the container as running, so the process ID counts too.
pub(crate) fn parse(output: &[u8]) -> Result<Vec<Container>, LivingError> {
    // `null` is how some versions print an empty list.
    let listed: Option<Vec<Listed>> = json("podman", output)?;
    let containers = listed.into_iter().flatten().map(|listed| Container {
        id: listed.id,
        name: listed.names.and_then(|names| names.into_iter().next()),
        state: State::of(&listed.state, ENDED),
        pid: listed.pid.filter(|pid| *pid != 0),
    });
    Ok(containers.collect())
}
