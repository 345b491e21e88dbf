//! A container, attached and detached through flannel.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cni_plugin::{DelegateError, Environment};
use cni_types::Attachment;
use cni_types::json::Object;
use conflist::{Cache, DEFAULT_CACHE_DIR, NetworkList, PluginRequest, Runtime, RuntimeConf};
use serde_json::{Value, json};
use testkit::{Container, Node};

use super::report::Done;
use super::{Delegate, MTU, NETWORK};

const IFNAME: &str = "eth0";

/// Where flannel keeps what it delegated.
pub(crate) const KEPT: &str = "/var/lib/cni/flannel";

/// The network's list of plugins, and where these are.
pub(crate) struct Plugins {
    list: NetworkList,
    plugins: conflist::Plugins,
    cache: Cache,
}

impl Plugins {
    pub(crate) fn find(dir: &Path, delegate: Delegate) -> Result<Done<Self>> {
        let show = |name: &str| {
            let path = dir.join(name);
            let metadata = fs::metadata(&path);
            let metadata = metadata
                .with_context(|| format!("no {}: run `cargo xtask dist`", path.display()))?;
            Ok(match fs::read_link(&path) {
                Ok(target) => format!("{name} → {}", target.display()),
                Err(_) => format!("{name} {:.0} KiB", metadata.len() as f64 / 1024.0),
            })
        };
        let shown = ["flannel", delegate.name(), "host-local", "portmap"].map(show);
        let shown = shown.into_iter().collect::<Result<Vec<_>>>()?.join(", ");
        let path = dir.display().to_string();
        let list = json!({
            "cniVersion": "1.0.0",
            "cniVersions": ["0.3.1", "1.0.0", "1.1.0"],
            "name": NETWORK,
            "plugins": [
                { "type": "flannel", "delegate": delegate.conf() },
                { "type": "portmap", "capabilities": { "portMappings": true } },
            ],
        });
        let plugins = Self {
            list: NetworkList::parse(&list.to_string())?,
            plugins: conflist::Plugins::new(dir.as_os_str(), &Environment::of_process()),
            cache: Cache::new(Path::new(DEFAULT_CACHE_DIR)),
        };
        Ok(Done::new(plugins, shown).detail("CNI_PATH", vec![path]))
    }

    /// Has a command call the plugins for a container, as a runtime of Kubernetes does.
    fn run<T: Send>(
        &self,
        node: &Node,
        container: &Container,
        command: impl FnOnce(&mut Runtime<'_, DelegateError>, &NetworkList, &RuntimeConf) -> T + Send,
    ) -> Result<(T, Duration)> {
        let id = &container.id;
        let args = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME={id}");
        let runtime = RuntimeConf {
            attachment: Attachment {
                container_id: id.parse()?,
                ifname: IFNAME.parse()?,
            },
            netns: Some(container.sandbox.path()),
            args: RuntimeConf::parse_args(&args)?,
            capability_args: Object::default(),
        };
        Ok(node.enter(|| {
            let start = Instant::now();
            let mut call = |request: &PluginRequest<'_>| self.plugins.run(request);
            let mut commands = Runtime::new(&self.cache, &mut call);
            let outcome = command(&mut commands, &self.list, &runtime);
            (outcome, start.elapsed())
        }))
    }
}

/// A container that is attached.
pub(crate) struct Attached {
    pub(crate) container: Container,
    /// The address with its prefix length.
    address: String,
    /// The configuration that flannel made for the delegate.
    delegated: Value,
}

impl Attached {
    /// Makes a container's network namespace and has it attached. What was delegated is printed in
    /// full unless it is what was delegated for `other`.
    ///
    /// # Panics
    /// If the container is not attached as the lease has it.
    pub(crate) fn new(
        plugins: &Plugins,
        node: &Node,
        id: &str,
        other: Option<&Self>,
    ) -> Result<Done<Self>> {
        let container = Container::new(id);
        let (result, elapsed) =
            plugins.run(node, &container, |it, list, runtime| it.add(list, runtime))?;
        let result: Value = serde_json::from_str(&result?)?;
        let text = |pointer: &str| {
            let value = result.pointer(pointer).and_then(Value::as_str);
            value.with_context(|| format!("the result has no {pointer}: {result}"))
        };
        let address = text("/ips/0/address")?.to_owned();
        let gateway = text("/ips/0/gateway")?;
        assert_eq!(text("/cniVersion")?, "1.1.0", "{result}");

        let link = container.link(IFNAME);
        assert_eq!(
            link.mtu(),
            MTU,
            "{IFNAME} of {id} has another MTU: {link:?}"
        );
        let mac = inside(&result).context("the result lacks the container's interface")?;
        assert_eq!(link.mac(), mac, "{IFNAME} of {id} has another MAC");
        let path = format!("{KEPT}/{id}");
        let delegated: Value = serde_json::from_str(&node.read(&path))
            .with_context(|| format!("{path} is no JSON"))?;

        let summary = format!("ADD   {address:<15} mtu {MTU}");
        let interface = format!("{IFNAME} {mac}, gateway {gateway}");
        let printed = match other.filter(|other| other.delegated == delegated) {
            Some(other) => format!("the same as for {}", other.container.id),
            None => spaced(&delegated),
        };
        let attached = Self {
            container,
            address,
            delegated,
        };
        Ok(Done::new(attached, summary)
            .detail("interface", vec![interface])
            .detail("routes", vec![routes(&result)])
            .detail("delegated", vec![printed])
            .detail("kept in", vec![path])
            .took(elapsed))
    }

    /// Has the container detached.
    pub(crate) fn detach(&self, plugins: &Plugins, node: &Node) -> Result<Done<()>> {
        let (outcome, elapsed) = plugins.run(node, &self.container, |it, list, runtime| {
            it.del(list, runtime)
        })?;
        outcome?;
        Ok(Done::new((), format!("DEL   {}", self.address)).took(elapsed))
    }

    /// The address alone.
    pub(crate) fn ip(&self) -> &str {
        self.address.split('/').next().unwrap_or_default()
    }
}

/// The MAC of the interface inside the container.
fn inside(result: &Value) -> Option<&str> {
    let mut interfaces = result.get("interfaces")?.as_array()?.iter();
    let own = interfaces.find(|interface| {
        let sandbox = interface.get("sandbox").and_then(Value::as_str);
        sandbox.is_some_and(|path| !path.is_empty())
            && interface.get("name").is_some_and(|name| name == IFNAME)
    });
    own?.get("mac")?.as_str()
}

fn routes(result: &Value) -> String {
    let routes = result.get("routes").and_then(Value::as_array);
    let printed = routes.into_iter().flatten().map(|route| {
        let part = |key: &str| route.get(key).and_then(Value::as_str);
        let via = part("gw").map(|gateway| format!(" via {gateway}"));
        part("dst").unwrap_or("?").to_owned() + &via.unwrap_or_default()
    });
    printed.collect::<Vec<_>>().join(", ")
}

/// JSON in one line with spaces where it may be folded.
fn spaced(value: &Value) -> String {
    let inside = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Object(object) => {
            let pairs = object
                .iter()
                .map(|(key, value)| format!("\"{key}\":{}", spaced(value)));
            format!("{{{}}}", inside(pairs.collect()))
        }
        Value::Array(array) => format!("[{}]", inside(array.iter().map(spaced).collect())),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_summarized() {
        let result = json!({
            "interfaces": [
                {"name": "cni0", "mac": "m0"},
                {"name": "eth0", "mac": "m1", "sandbox": "/n"},
            ],
            "routes": [{"dst": "10.244.0.0/16"}, {"dst": "0.0.0.0/0", "gw": "10.244.1.1"}],
        });
        assert_eq!(inside(&result), Some("m1"));
        assert_eq!(routes(&result), "10.244.0.0/16, 0.0.0.0/0 via 10.244.1.1");
        assert_eq!(
            spaced(&json!({"a": [1, {"b": null}]})),
            r#"{"a":[1, {"b":null}]}"#
        );
    }
}
