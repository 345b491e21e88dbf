//! `twill add`: attaches a network namespace to a network, as a runtime does.

use anyhow::{Result, anyhow, bail, ensure};
use clap::Args;
use cni_types::{AddResult, Interface, Version};

use crate::cli::Outcome;
use crate::network::{AttachmentOptions, error_object, note};
use crate::output::Output;

/// Attaches a network namespace to a network: runs the list's plugins with ADD, as a runtime does.
///
/// The result is cached for `twill check` and `twill del`. If a plugin fails, what the plugins
/// before it have done is removed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  ip netns add testing
  twill add cbr0 testing
  twill add cbr0 testing -v --cap '{\"portMappings\": [{\"hostPort\": 8080, \"containerPort\": 80}]}'")]
pub(crate) struct Options {
    #[command(flatten)]
    attachment: AttachmentOptions,
}

/// Adds the attachment, and prints its result.
pub(crate) fn run(options: &Options, output: &mut Output<'_>) -> Result<Outcome> {
    let site = options.attachment.open()?;
    let (network, runtime) = (&site.network, &site.runtime);
    let name = &network.list.name;
    let file = network.cache.path(name, &runtime.attachment);
    if site.cached.is_some() || file.exists() {
        bail!(
            "{} is attached to {name} already: its result is in {}: detach it with `twill del`, or \
             choose another interface with --ifname",
            site.describe(),
            file.display()
        );
    }
    site.require_netns()?;
    ensure!(
        !site.has_interface()?,
        "{} exists already: choose another interface with --ifname, or detach it with `twill del`",
        site.describe()
    );
    for capability in site.unused_capabilities() {
        note(&format!(
            "no plugin of {name} has the capability {capability}: its argument is not passed on"
        ));
    }
    let (added, effort) = network.run(|it| it.add(&network.list, runtime));
    let result = match added {
        Ok(result) => result,
        Err(error) => {
            let message = error.to_string();
            if options.attachment.json
                && let Some(error) = error_object(error)
            {
                output.line(&serde_json::to_string(
                    &error.at_version(network.list.version),
                )?);
            }
            let (removed, _) = network.run(|it| it.del(&network.list, runtime));
            return Err(match removed {
                Ok(()) => anyhow!("{message}; nothing of the ADD is left"),
                Err(error) => anyhow!(
                    "{message}; the DEL of what was done failed too, repeat it with `twill del`: {error}"
                ),
            });
        }
    };
    if options.attachment.json {
        output.line(&result);
        return Ok(Outcome::Done);
    }
    let attached = format!("{} is attached to {name}", site.describe());
    output.line(&format!("{attached} ({})", effort.describe()));
    for line in lines(&result, network.list.version)? {
        output.line(&line);
    }
    Ok(Outcome::Done)
}

/// A result for a person to read.
fn lines(result: &str, version: Version) -> Result<Vec<String>> {
    let AddResult {
        interfaces,
        ips,
        routes,
        dns,
    } = AddResult::decode(result, version)?;
    let mut lines = Vec::new();
    let mut line = |key: &str, words: Vec<String>| {
        lines.push(format!("  {key:<9}  {}", words.join(" ")));
    };
    for ip in &ips {
        let gateway = ip.gateway.map(|gateway| format!("gateway {gateway}"));
        let words = [ip.address.to_string()].into_iter().chain(gateway);
        line("address", words.collect());
    }
    for route in &routes {
        let via = route.gw.map(|gateway| format!("via {gateway}"));
        let words = [route.dst.to_string()].into_iter().chain(via);
        line("route", words.collect());
    }
    for interface in &interfaces {
        let Interface {
            name,
            mac,
            mtu,
            sandbox,
            ..
        } = interface;
        let words = [
            Some(name.clone()),
            mac.clone(),
            mtu.map(|mtu| format!("mtu {mtu}")),
            sandbox.as_ref().map(|_| "in the namespace".to_owned()),
        ];
        line("interface", words.into_iter().flatten().collect());
    }
    for (key, values) in [("dns", &dns.nameservers), ("search", &dns.search)] {
        if !values.is_empty() {
            line(key, values.clone());
        }
    }
    Ok(lines)
}
