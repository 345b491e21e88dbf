//! Network configurations.

use std::path::{Component, Path, PathBuf};

use anyhow::{Result, ensure};
use cni_plugin::Plugin;
use serde_json::Value;

use super::SUBNET_FILE;
use crate::jail::{files, write};
use crate::reply::{COMMANDS, LoneCall};

const LEASE: &[u8] = b"FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n\
    FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

/// Where all plugins keep state whose place no key sets.
const DEFAULT: &str = "/var/lib/cni";

/// Each command gets a reply, and files are only where the configuration says.
pub(super) fn feed(plugin: &dyn Plugin, input: &[u8]) -> Result<()> {
    let conf: Value = serde_json::from_slice(input).unwrap_or_default();
    // A call may rightly wait for what does not come.
    let is_long = |value: &&Value| value.as_f64().is_some_and(|seconds| seconds > 0.1);
    let waits = |key| values(&conf, key).iter().any(is_long);
    if waits("subnetFileWait") || waits("lockTimeout") {
        return Ok(());
    }
    write(Path::new(SUBNET_FILE), LEASE)?;
    for command in COMMANDS {
        LoneCall::new(plugin, command, input).run()?;
    }
    if conf.is_null() {
        return Ok(());
    }
    let named = values(&conf, "dataDir");
    let named = named
        .iter()
        .filter_map(|value| value.as_str())
        .map(absolute);
    let dirs: Vec<PathBuf> = named.chain([DEFAULT.into(), SUBNET_FILE.into()]).collect();
    for file in files(Path::new("/")) {
        let is_expected = dirs.iter().any(|dir| file.starts_with(dir));
        ensure!(is_expected, "there is a file {} now", file.display());
    }
    Ok(())
}

/// The values of all keys that are this one to some reader.
fn values<'a>(conf: &'a Value, key: &str) -> Vec<&'a Value> {
    let below: Vec<_> = match conf {
        Value::Object(object) => object.values().collect(),
        Value::Array(array) => array.iter().collect(),
        _ => Vec::new(),
    };
    let is_own = |name: &String| name.to_lowercase() == key.to_lowercase();
    let own = conf.as_object().into_iter().flatten();
    let own = own.filter(|(name, _)| is_own(name)).map(|(_, value)| value);
    own.chain(below.into_iter().flat_map(|value| values(value, key)))
        .collect()
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
