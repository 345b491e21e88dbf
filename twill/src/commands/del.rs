//! `twill del`: detaches a network namespace from a network.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::cli::Outcome;
use crate::network::AttachmentOptions;
use crate::output::Output;

/// Detaches a network namespace from a network: runs the list's plugins with DEL, in reverse order.
///
/// The plugins get the cached result of the ADD, and its arguments unless others are given. Without
/// a list on disk, the cached one is used. The namespace may be gone.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  twill del cbr0 testing
  twill del cbr0 /proc/1234/ns/net --container 4f5a1c0c7e1b   # of a runtime's container")]
pub(crate) struct Options {
    #[command(flatten)]
    attachment: AttachmentOptions,
}

/// Deletes the attachment.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let site = options.attachment.open()?;
    let (network, runtime) = (&site.network, &site.runtime);
    let (deleted, effort) = network.run(|it| it.del(&network.list, runtime));
    deleted?;
    let (name, attachment) = (&network.list.name, &runtime.attachment);
    if options.attachment.json {
        let object = json!({
            "network": name.as_str(),
            "containerID": attachment.container_id.as_str(),
            "ifname": attachment.ifname.as_str(),
            "hadResult": site.cached.is_some(),
        });
        output.line(&object.to_string());
        return Ok(Outcome::Done);
    }
    let detached = format!("{} is detached from {name}", site.describe());
    output.line(&format!("{detached} ({})", effort.describe()));
    if site.cached.is_none() {
        output.line(&format!(
            "no result of an ADD of {attachment} was cached: the plugins had none to go by"
        ));
    }
    Ok(Outcome::Done)
}
