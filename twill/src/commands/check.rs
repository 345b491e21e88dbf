//! `twill check`: whether an attachment is still as its ADD made it.

use anyhow::Result;
use clap::Args;
use cni_plugin::DelegateError;
use conflist::OperationError;
use serde_json::json;

use crate::cli::Outcome;
use crate::network::{AttachmentOptions, error_object};
use crate::output::Output;

/// Checks an attachment: runs the list's plugins with CHECK, which compare it with the cached
/// result of its ADD.
///
/// The exit status is 1 if a plugin finds something missing or changed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  twill check cbr0 testing
  twill check cbr0 /proc/1234/ns/net --container 4f5a1c0c7e1b   # of a runtime's container")]
pub(crate) struct Options {
    #[command(flatten)]
    attachment: AttachmentOptions,
}

/// Checks the attachment, and prints what is wrong with it.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let site = options.attachment.open()?;
    site.require_netns()?;
    let (network, runtime) = (&site.network, &site.runtime);
    let (checked, effort) = network.run(|it| it.check(&network.list, runtime));
    let (name, what) = (&network.list.name, site.describe());
    let (outcome, text, error) = match checked {
        Ok(true) => (
            Outcome::Done,
            format!(
                "{what} is as its ADD to {name} made it ({})",
                effort.describe()
            ),
            None,
        ),
        Ok(false) => (
            Outcome::Done,
            format!("{what} was not checked: the list of {name} has disableCheck"),
            None,
        ),
        Err(error @ OperationError::Plugin { .. }) if !is_missing(&error) => (
            Outcome::Faults,
            format!("{what} is not as its ADD to {name} made it: {error}"),
            error_object(error),
        ),
        Err(error) => return Err(error.into()),
    };
    if options.attachment.json {
        let attachment = &runtime.attachment;
        let object = json!({
            "network": name.as_str(),
            "containerID": attachment.container_id.as_str(),
            "ifname": attachment.ifname.as_str(),
            "error": error,
        });
        output.line(&object.to_string());
    } else {
        output.line(&text);
    }
    Ok(outcome)
}

/// Whether a plugin could not be asked, so that nothing is known about the attachment.
fn is_missing(error: &OperationError<DelegateError>) -> bool {
    let OperationError::Plugin { error, .. } = error else {
        return false;
    };
    matches!(
        **error,
        DelegateError::Missing { .. }
            | DelegateError::NotExecutable { .. }
            | DelegateError::Start { .. }
    )
}
