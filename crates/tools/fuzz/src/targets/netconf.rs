//! Network configurations.

use std::path::{Component, Path, PathBuf};

use cni_plugin::Plugin;
use serde_json::Value;

use super::room::{SUBNET_FILE, files, write};
use crate::answer::{COMMANDS, Call};

const LEASE: &[u8] = b"FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n\
    FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

/// Where all plugins keep what no key says another place for.
const DEFAULT: &str = "/var/lib/cni";

pub(super) fn feed(plugin: &dyn Plugin, input: &[u8]) -> Result<String, String> {
    let conf: Option<Value> = serde_json::from_slice(input).ok();
    if conf.as_ref().is_some_and(asks_to_wait) {
        return Ok("passed over".into());
    }
    write(Path::new(SUBNET_FILE), LEASE).map_err(|error| error.to_string())?;
    let mut kinds = Vec::new();
    for command in COMMANDS {
        let call = Call {
            plugin,
            command,
            container: "c",
            args: b"",
            stdin: input,
        };
        kinds.push(call.answer()?.kind);
    }
    if let Some(conf) = conf {
        stays_inside(&conf)?;
    }
    Ok(kinds.join("; "))
}

/// Whether a call may wait for what does not come, which is right and takes too long.
fn asks_to_wait(conf: &Value) -> bool {
    let is_long = |key| {
        values(conf, key)
            .iter()
            .any(|value| value.as_f64().is_some_and(|seconds| seconds > 0.1))
    };
    is_long("subnetFileWait") || is_long("lockTimeout")
}

/// Files are only where the configuration says, or nowhere else is said.
fn stays_inside(conf: &Value) -> Result<(), String> {
    let named = values(conf, "dataDir");
    let mut dirs: Vec<PathBuf> = named
        .iter()
        .filter_map(|value| value.as_str())
        .map(absolute)
        .collect();
    dirs.push(DEFAULT.into());
    for file in files() {
        let is_known =
            file == Path::new(SUBNET_FILE) || dirs.iter().any(|dir| file.starts_with(dir));
        if !is_known {
            return Err(format!("there is a file {} now", file.display()));
        }
    }
    Ok(())
}

/// What all keys have that are this one to some reader.
fn values<'a>(conf: &'a Value, key: &str) -> Vec<&'a Value> {
    match conf {
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, value)| {
                let own = name.to_lowercase() == key.to_lowercase();
                own.then_some(value).into_iter().chain(values(value, key))
            })
            .collect(),
        Value::Array(array) => array.iter().flat_map(|value| values(value, key)).collect(),
        _ => Vec::new(),
    }
}

/// The path from the root; the jail is without links.
fn absolute(path: &str) -> PathBuf {
    let mut absolute = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => absolute.push(name),
            Component::ParentDir => drop(absolute.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    absolute
}
