use cni_types::{Code, Error, NetConf, Version};

use crate::operation::{Operation, Purpose};
use crate::{Bundle, Call, Environment, Log, Plugin, netns};

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
    /// Standard error: only what a plugin says that is started without a command.
    pub stderr: String,
    /// Whether the call failed; the exit status is then 1.
    pub failed: bool,
}

/// Answers a request by means of a plugin (CNI specification, "Section 2").
pub fn dispatch(plugin: &dyn Plugin, request: &Request) -> Reply {
    dispatch_in(Bundle::default(), plugin, request)
}

/// As [`dispatch`], in a binary that is other plugins as well.
pub(crate) fn dispatch_in(bundle: Bundle<'_>, plugin: &dyn Plugin, request: &Request) -> Reply {
    let mut log = Log::from_environment(plugin.name(), &request.environment);
    let outcome = match Purpose::from_environment(&request.environment) {
        Ok(Purpose::About) => return about(plugin),
        Ok(Purpose::Version) => Ok(versions()),
        Ok(Purpose::Operation(operation)) => perform(bundle, plugin, operation, request, &mut log),
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
            failure(&error, NetConf::version_for_errors(&request.stdin))
        }
    }
}

fn perform(
    bundle: Bundle<'_>,
    plugin: &dyn Plugin,
    operation: Operation,
    request: &Request,
    log: &mut Log,
) -> Result<String, Error> {
    let conf = NetConf::parse(&request.stdin)?;
    log.set_network(conf.name.as_str());
    let call = Call {
        conf: &conf,
        environment: &request.environment,
        log,
        bundle,
    };
    let netns_override = call
        .environment
        .get("CNI_NETNS_OVERRIDE")
        .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"));
    let refuse_own = |netns| {
        if netns_override {
            Ok(())
        } else {
            netns::refuse_own(netns)
        }
    };
    let nothing = |()| String::new();
    match operation {
        Operation::Add { attachment, netns } => {
            refuse_own(&netns)?;
            let result = plugin.add(&call, &attachment, &netns)?;
            Ok(result + "\n")
        }
        Operation::Del { attachment, netns } => {
            netns.as_deref().map_or(Ok(()), refuse_own)?;
            plugin
                .del(&call, &attachment, netns.as_deref())
                .map(nothing)
        }
        Operation::Check { attachment, netns } => {
            require("CHECK", Version::V0_4_0, conf.version)?;
            refuse_own(&netns)?;
            plugin.check(&call, &attachment, &netns).map(nothing)
        }
        Operation::Gc => {
            require("GC", Version::V1_1_0, conf.version)?;
            plugin.gc(&call).map(nothing)
        }
        Operation::Status => {
            require("STATUS", Version::V1_1_0, conf.version)?;
            plugin.status(&call).map(nothing)
        }
    }
}

/// Refuses a command that the configuration's version does not have.
fn require(command: &str, since: Version, version: Version) -> Result<(), Error> {
    if version >= since {
        return Ok(());
    }
    Err(Error::new(
        Code::INCOMPATIBLE_VERSION,
        format!("config version does not allow {command}"),
    )
    .with_details(format!(
        "{command} needs cniVersion {since} or later, the network configuration has {version}"
    )))
}

fn supported() -> String {
    Version::ALL.map(Version::as_str).join(", ")
}

fn about(plugin: &dyn Plugin) -> Reply {
    let line = format!("CNI {} plugin {}", plugin.name(), env!("CARGO_PKG_VERSION"));
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

fn failure(error: &Error, version: Version) -> Reply {
    // Numbers and strings can always be encoded; should it fail all the same, the runtime still sees the failure.
    let stdout = serde_json::to_string(&error.at_version(version)).unwrap_or_default();
    Reply {
        stdout: stdout + "\n",
        stderr: String::new(),
        failed: true,
    }
}

#[cfg(test)]
mod tests;
