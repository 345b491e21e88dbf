//! The way from a request to a reply.

use std::path::Path;

use cni_types::{Attachment, Code, Error, NetConf, RefusedConf, ValidAttachments, Version};

use crate::operation::{Operation, Purpose};
use crate::{Bundle, Call, ContainerNetns, Environment, Log, Plugin, depth};

/// A call of a plugin, as a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The environment variables.
    pub environment: Environment,
    /// Standard input: the network configuration.
    pub stdin: Vec<u8>,
}

/// A plugin's answer, as a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Standard output: nothing, or one JSON object.
    pub stdout: String,
    /// Standard error: the plugin's name and versions if it is started without a command, else
    /// nothing.
    pub stderr: String,
    /// Whether the call failed; the exit status is then 1.
    pub failed: bool,
}

/// The version that a plugin prints: that of the Go plugins whose configuration and state it takes,
/// and Twill's own as build metadata (Semantic Versioning 2.0.0, section 10). Nomad and nerdctl
/// parse it, and compare only the former.
const VERSION: &str = concat!("v1.9.1+twill.", env!("CARGO_PKG_VERSION"));

/// What every binary of Twill contains, in any version of it: a part of the version that it prints.
pub const BUILD_MARK: &str = "+twill.";

/// Answers a request by means of a plugin (CNI specification, "Section 2").
pub fn dispatch(plugin: &dyn Plugin, request: &Request) -> Reply {
    let conf = NetConf::parse(&request.stdin);
    let (environment, conf) = (&request.environment, conf.as_ref());
    dispatch_in(Bundle::default(), plugin, environment, conf, None)
}

/// As [`dispatch`], for a plugin of a multi-call binary and a configuration that is parsed already.
/// `opened` is the namespace of `CNI_NETNS` if the caller has opened it.
pub(crate) fn dispatch_in(
    bundle: Bundle<'_>,
    plugin: &dyn Plugin,
    environment: &Environment,
    conf: Result<&NetConf<'_>, &RefusedConf>,
    opened: Option<&ContainerNetns>,
) -> Reply {
    let mut log = Log::of(plugin.name(), environment, conf.ok());
    let outcome = match Purpose::from_environment(environment) {
        Ok(Purpose::About) => return about(plugin),
        Ok(Purpose::Version) => Ok(versions()),
        Ok(Purpose::Operation(operation)) => match conf {
            Ok(conf) => {
                log.set_network(conf.name.as_str());
                perform(bundle, plugin, operation, environment, conf, opened, &log)
            }
            Err(refused) => Err(refused.error.clone()),
        },
        Err(error) => Err(error),
    };
    match outcome {
        Ok(stdout) => {
            log.info(format_args!("done"));
            Reply {
                stdout,
                ..Reply::default()
            }
        }
        Err(error) => {
            log.error(format_args!("failed: {error}"));
            failure(&error, version_of(conf))
        }
    }
}

/// The version of the reply to a call with this configuration.
pub(crate) fn version_of(conf: Result<&NetConf<'_>, &RefusedConf>) -> Version {
    conf.map_or_else(|refused| refused.version, |conf| conf.version)
}

fn perform(
    bundle: Bundle<'_>,
    plugin: &dyn Plugin,
    operation: Operation,
    environment: &Environment,
    conf: &NetConf<'_>,
    opened: Option<&ContainerNetns>,
    log: &Log,
) -> Result<String, Error> {
    if let Err(error) = depth::check(environment) {
        // No ADD gets this far, so there is nothing to remove. An error would make the callers' DEL
        // fail each time.
        return match operation {
            Operation::Del { .. } => {
                log.error(format_args!("DEL has nothing to remove: {error}"));
                Ok(String::new())
            }
            _ => Err(error),
        };
    }
    let call = Call {
        conf,
        environment,
        netns: None,
        log,
        bundle,
    };
    let open = |path: &Path| match opened {
        Some(opened) if opened.path() == path => opened.clone(),
        _ => ContainerNetns::open(path),
    };
    let nothing = |()| String::new();
    match operation {
        Operation::Add { attachment, netns } => {
            let netns = open(&netns);
            refuse_own(&netns, environment)?;
            let call = Call {
                netns: Some(&netns),
                ..call
            };
            let result = plugin.add(&call, &attachment, &netns)?;
            Ok(result + "\n")
        }
        Operation::Del { attachment, netns } => {
            let netns = netns.map(|path| open(&path));
            del(plugin, &call, &attachment, netns.as_ref()).map(nothing)
        }
        Operation::Check { attachment, netns } => {
            require("CHECK", Version::V0_4_0, conf.version)?;
            let netns = open(&netns);
            refuse_own(&netns, environment)?;
            let call = Call {
                netns: Some(&netns),
                ..call
            };
            plugin.check(&call, &attachment, &netns).map(nothing)
        }
        Operation::Gc => {
            require("GC", Version::V1_1_0, conf.version)?;
            match ValidAttachments::of(conf)? {
                Some(valid) => plugin.gc(&call, &valid).map(nothing),
                None => {
                    log.info(format_args!(
                        "GC without a list of valid attachments removes nothing"
                    ));
                    Ok(String::new())
                }
            }
        }
        Operation::Status => {
            require("STATUS", Version::V1_1_0, conf.version)?;
            plugin.status(&call).map(nothing)
        }
    }
}

/// Performs a DEL. The container's namespace may be gone, and its path may lead to something else.
fn del(
    plugin: &dyn Plugin,
    call: &Call<'_>,
    attachment: &Attachment,
    netns: Option<&ContainerNetns>,
) -> Result<(), Error> {
    let netns = netns.filter(|netns| !netns.is_missing());
    let stranger = netns.filter(|netns| {
        netns.is_something_else() || (netns.is_own() && !may_be_own(call.environment))
    });
    let Some(stranger) = stranger else {
        let call = Call { netns, ..*call };
        return plugin.del(&call, attachment, netns);
    };
    // With the path, a delegate would remove a link of the node, or fail each time.
    call.log.info(format_args!(
        "the container has no namespace any more: CNI_NETNS {} is {}",
        stranger.path().display(),
        if stranger.is_own() {
            "the plugin's own"
        } else {
            "none"
        }
    ));
    let environment = call.environment.with("CNI_NETNS", "");
    let call = Call {
        environment: &environment,
        ..*call
    };
    plugin.del(&call, attachment, None)
}

fn refuse_own(netns: &ContainerNetns, environment: &Environment) -> Result<(), Error> {
    if may_be_own(environment) {
        Ok(())
    } else {
        netns.refuse_own()
    }
}

/// Whether `CNI_NETNS` may be the plugin's own namespace.
fn may_be_own(environment: &Environment) -> bool {
    environment
        .get("CNI_NETNS_OVERRIDE")
        .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}

/// Refuses a command that the configuration's version does not define.
fn require(command: &str, since: Version, version: Version) -> Result<(), Error> {
    if version >= since {
        return Ok(());
    }
    // Callers compare the message with the Go plugins' text.
    Err(Error::new(
        Code::INCOMPATIBLE_VERSION,
        format!("config version does not allow {command}"),
    ))
}

fn supported() -> String {
    Version::ALL.map(Version::as_str).join(", ")
}

fn about(plugin: &dyn Plugin) -> Reply {
    let line = format!("CNI {} plugin {VERSION}", plugin.name());
    Reply {
        stderr: format!("{line}\nCNI protocol versions supported: {}\n", supported()),
        ..Reply::default()
    }
}

fn versions() -> String {
    let supported = Version::ALL
        .map(|version| format!("\"{version}\""))
        .join(",");
    format!(
        "{{\"cniVersion\":\"{}\",\"supportedVersions\":[{supported}]}}\n",
        Version::LATEST
    )
}

pub(crate) fn failure(error: &Error, version: Version) -> Reply {
    // Numbers and strings can always be encoded. Otherwise the runtime still sees the exit status.
    let stdout = serde_json::to_string(&error.at_version(version)).unwrap_or_default();
    Reply {
        stdout: stdout + "\n",
        stderr: String::new(),
        failed: true,
    }
}

#[cfg(test)]
mod tests;
