//! A container, attached and detached through flannel.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::{Container, Invocation, Node, Outcome};

use super::report::Done;
use super::{Delegate, MTU, NETWORK};

const IFNAME: &str = "eth0";

/// Where flannel keeps what it delegated.
pub(crate) const KEPT: &str = "/var/lib/cni/flannel";

/// Where the plugins are, and which one attaches.
pub(crate) struct Plugins {
    dir: PathBuf,
    delegate: Delegate,
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
        let shown = ["flannel", delegate.name(), "host-local"].map(show);
        let shown = shown.into_iter().collect::<Result<Vec<_>>>()?.join(", ");
        let path = dir.display().to_string();
        let dir = dir.to_owned();
        Ok(Done::new(Self { dir, delegate }, shown).detail("CNI_PATH", vec![path]))
    }

    fn call(&self, node: &Node, command: &str, container: &Container) -> Outcome {
        let netconf = json!({
            "cniVersion": "1.0.0",
            "name": NETWORK,
            "type": "flannel",
            "delegate": self.delegate.conf(),
        });
        let id = &container.id;
        let call = Invocation::attach(self.dir.join("flannel"), command, id)
            .ifname(IFNAME)
            .netns(container.sandbox.path())
            .args(format!(
                "IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME={id}"
            ))
            .config(&netconf);
        node.run(&call)
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
        let outcome = plugins.call(node, "ADD", &container);
        let result = outcome.success();
        let text = |pointer: &str| {
            let value = result.pointer(pointer).and_then(Value::as_str);
            value.with_context(|| format!("the result has no {pointer}: {result}"))
        };
        let address = text("/ips/0/address")?.to_owned();
        let gateway = text("/ips/0/gateway")?;
        assert_eq!(text("/cniVersion")?, "1.0.0", "{result}");

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
            .took(outcome.elapsed))
    }

    /// Has the container detached.
    ///
    /// # Panics
    /// If DEL fails or prints anything.
    pub(crate) fn detach(&self, plugins: &Plugins, node: &Node) -> Done<()> {
        let outcome = plugins.call(node, "DEL", &self.container);
        outcome.silent();
        Done::new((), format!("DEL   {}", self.address)).took(outcome.elapsed)
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
