//! `twill status NETWORK`: whether the plugins of a network's list could serve an ADD.

use anyhow::{Context as _, Result};
use cni_types::{Error, NetworkName};
use serde_json::json;

use crate::cli::Outcome;
use crate::network::{ListOptions, error_object};
use crate::output::Output;

/// Asks the plugins of a network's list for their STATUS, and prints the answer. A list of a
/// version without STATUS is ready if its plugins are installed.
pub(crate) fn run(
    name: &NetworkName,
    options: &ListOptions,
    is_json: bool,
    output: &mut Output<'_>,
) -> Result<Outcome> {
    let network = options.open(name)?;
    let version = network.list.version;
    let failed = |error: Error, text: String| (Outcome::Faults, text, Some(error));
    let (outcome, text, error) = match network.require_plugins() {
        Err(error) => {
            let text = format!("{name} is not ready: {error}");
            failed(error.into(), text)
        }
        Ok(()) => match network.run(|it| it.status(&network.list)) {
            (Ok(true), effort) => {
                let text = format!("{name} is ready ({})", effort.describe());
                (Outcome::Done, text, None)
            }
            (Ok(false), _) => {
                let text = format!(
                    "{name}: the plugins of the list are installed; its cniVersion, {version}, \
                     has no STATUS"
                );
                (Outcome::Done, text, None)
            }
            (Err(error), _) => {
                let text = format!("{name} is not ready: {error}");
                let error = error_object(error).context(text.clone())?;
                failed(error, text)
            }
        },
    };
    if is_json {
        let object = json!({
            "network": name.as_str(),
            "cniVersion": version,
            "isReady": outcome == Outcome::Done,
            "error": error,
        });
        output.line(&object.to_string());
    } else {
        output.line(&text);
    }
    Ok(outcome)
}
