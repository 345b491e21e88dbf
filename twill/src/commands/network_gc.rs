//! `twill gc NETWORK`: a network's list runs GC, as a runtime does.

use anyhow::{Result, anyhow};
use cni_types::{NetworkName, ValidAttachments};
use serde_json::json;

use crate::cli::Outcome;
use crate::network::ListOptions;
use crate::output::Output;

/// The parameters of a GC by a network's list.
pub(crate) struct NetworkGc<'a> {
    pub(crate) network: &'a NetworkName,
    pub(crate) list: &'a ListOptions,
    /// The attachments that GC leaves alone.
    pub(crate) valid: &'a ValidAttachments,
    /// Whether GC is done; otherwise it is only described.
    pub(crate) apply: bool,
    pub(crate) json: bool,
}

impl NetworkGc<'_> {
    /// Deletes the cached attachments that are not valid, and passes the valid ones to GC of the
    /// plugins; or prints the calls that it would make.
    pub(crate) fn run(&self, output: &mut Output<'_>) -> Result<Outcome> {
        let network = self.list.open(self.network)?;
        let (name, list) = (self.network, &network.list);
        let (stale, _) = network.run(|it| it.stale(list, self.valid));
        let stale = stale?;
        let count = self.valid.iter().count();
        let plural = if count == 1 { "" } else { "s" };
        let valid = format!("{count} valid attachment{plural}");
        let attachments = stale.iter().map(|cached| cached.runtime.attachment.clone());
        let attachments: Vec<_> = attachments.collect();
        let mut lines = Vec::new();
        if list.disable_gc {
            lines.push(format!("{name}: nothing to do: the list has disableGC"));
        } else if self.apply {
            let (collected, effort) = network.run(|it| it.gc(list, self.valid));
            if let Err(errors) = collected {
                let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
                return Err(anyhow!(errors.join("; ")));
            }
            for attachment in &attachments {
                lines.push(format!("deleted {attachment}"));
            }
            lines.push(format!(
                "GC of {name} with {valid}: {}",
                effort.describe_calls()
            ));
        } else {
            for attachment in &attachments {
                lines.push(format!("would delete {attachment}: its ADD is cached"));
            }
            lines.push(format!(
                "would call GC of the plugins of {name} with {valid}; --apply does it"
            ));
        }
        if self.json {
            let stale = attachments.iter().map(|attachment| {
                json!({
                    "containerID": attachment.container_id.as_str(),
                    "ifname": attachment.ifname.as_str(),
                })
            });
            let object = json!({
                "network": name.as_str(),
                "isDone": self.apply && !list.disable_gc,
                "valid": count,
                "stale": stale.collect::<Vec<_>>(),
            });
            output.line(&object.to_string());
        } else {
            for line in lines {
                output.line(&line);
            }
        }
        Ok(if attachments.is_empty() || self.apply || list.disable_gc {
            Outcome::Done
        } else {
            Outcome::Faults
        })
    }
}
