//! A container, attached and detached through flannel.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use testkit::{Invocation, NetNs, Node, Outcome};

use super::report::Done;
use super::{Delegate, MTU, NETWORK, make_sandbox};

const IFNAME: &str = "eth0";

/// Where the plugins are, and which one attaches.
pub(crate) struct Plugins {
    dir: PathBuf,
    delegate: Delegate,
}

impl Plugins {
    pub(crate) fn find(dir: &Path, delegate: Delegate) -> Result<Done<Self>> {
        let mut sizes = Vec::new();
        for name in ["flannel", delegate.name(), "host-local"] {
            let path = dir.join(name);
            let metadata = fs::metadata(&path).with_context(|| {
                format!("cannot find {}: run `cargo xtask dist`", path.display())
            })?;
            sizes.push(match fs::read_link(&path) {
                Ok(target) => format!("{name} → {}", target.display()),
                Err(_) => format!("{name} {:.0} KiB", metadata.len() as f64 / 1024.0),
            });
        }
        let plugins = Self {
            dir: dir.to_owned(),
            delegate,
        };
        let path = dir.display().to_string();
        Ok(Done::new(plugins, sizes.join(", ")).detail("CNI_PATH", vec![path]))
    }
}

/// A container that is attached.
pub(crate) struct Container {
    pub(crate) name: &'static str,
    pub(crate) sandbox: NetNs,
    /// The address with its prefix length.
    address: String,
    /// The netconf that flannel made for the delegate.
    delegated: Value,
}

impl Container {
    /// Makes a container's network namespace and has it attached. What was delegated is printed in
    /// full unless it is what was delegated for `other`.
    pub(crate) fn attach(
        plugins: &Plugins,
        node: &Node,
        name: &'static str,
        other: Option<&Self>,
    ) -> Result<Done<Self>> {
        let sandbox = make_sandbox()?;
        let outcome = node.run(&invocation(plugins, "ADD", name, &sandbox));
        check(&outcome)?;
        let result: Value = serde_json::from_slice(&outcome.stdout)
            .with_context(|| format!("ADD printed no JSON\n{outcome}"))?;
        let text = |pointer: &str| {
            let value = result.pointer(pointer).and_then(Value::as_str);
            value.with_context(|| format!("the result has no {pointer}: {result}"))
        };
        let address = text("/ips/0/address")?.to_owned();
        let gateway = text("/ips/0/gateway")?;
        ensure!(
            text("/cniVersion")? == "1.0.0",
            "the result is not of version 1.0.0: {result}"
        );

        let link = sandbox.ip_json(&["link", "show", IFNAME]);
        let mtu = link.pointer("/0/mtu").and_then(Value::as_u64);
        ensure!(
            mtu == Some(MTU),
            "{IFNAME} of {name} does not have mtu {MTU}: {link}"
        );
        let mac = inside(&result).context("the result lacks the container's interface")?;
        ensure!(
            link.pointer("/0/address") == Some(&mac.into()),
            "the MAC is not {mac}: {link}"
        );
        let scratch = node.list(scratch_dir());
        ensure!(
            scratch.iter().any(|file| file == name),
            "no scratch file {name}: {scratch:?}"
        );
        let path = format!("{}/{name}", scratch_dir());
        let delegated: Value = serde_json::from_str(&node.read(&path))
            .with_context(|| format!("{path} is no JSON"))?;

        let summary = format!("ADD   {address:<15} mtu {MTU}");
        let interface = format!("{IFNAME} {mac}, gateway {gateway}");
        let printed = match other.filter(|other| other.delegated == delegated) {
            Some(other) => format!("the same as for {}", other.name),
            None => spaced(&delegated),
        };
        let done = Done::new(
            Self {
                name,
                sandbox,
                address,
                delegated,
            },
            summary,
        )
        .detail("interface", vec![interface])
        .detail("routes", vec![routes(&result)])
        .detail("delegated", vec![printed])
        .detail("kept in", vec![path]);
        Ok(done.took(outcome.elapsed))
    }

    /// Has the container detached.
    pub(crate) fn detach(&self, plugins: &Plugins, node: &Node) -> Result<Done<()>> {
        let outcome = node.run(&invocation(plugins, "DEL", self.name, &self.sandbox));
        check(&outcome)?;
        ensure!(
            outcome.stdout.is_empty(),
            "DEL has printed something\n{outcome}"
        );
        Ok(Done::new((), format!("DEL   {}", self.address)).took(outcome.elapsed))
    }

    /// The address alone.
    pub(crate) fn ip(&self) -> &str {
        self.address.split('/').next().unwrap_or_default()
    }
}

/// Where flannel keeps what it delegated.
pub(crate) fn scratch_dir() -> &'static str {
    "/var/lib/cni/flannel"
}

fn invocation(plugins: &Plugins, command: &str, name: &str, sandbox: &NetNs) -> Invocation {
    let netconf = json!({
        "cniVersion": "1.0.0",
        "name": NETWORK,
        "type": "flannel",
        "delegate": plugins.delegate.conf(),
    });
    Invocation::attach(plugins.dir.join("flannel"), command, name)
        .ifname(IFNAME)
        .netns(sandbox.path())
        .args(format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME={name}"
        ))
        .path(&plugins.dir)
        .config(&netconf)
}

fn check(outcome: &Outcome) -> Result<()> {
    if outcome.code != Some(0) {
        bail!("the plugin failed\n{outcome}");
    }
    ensure!(
        outcome.stderr.is_empty(),
        "the plugin succeeded, but not silently\n{outcome}"
    );
    Ok(())
}

/// The MAC of the interface inside the container.
fn inside(result: &Value) -> Option<&str> {
    let interfaces = result.get("interfaces")?.as_array()?;
    let own = interfaces.iter().find(|interface| {
        let in_sandbox = interface.get("sandbox").and_then(Value::as_str);
        in_sandbox.is_some_and(|path| !path.is_empty())
            && interface.get("name") == Some(&IFNAME.into())
    });
    own?.get("mac")?.as_str()
}

fn routes(result: &Value) -> String {
    let routes = result.get("routes").and_then(Value::as_array);
    let printed = routes.into_iter().flatten().map(|route| {
        let part = |key: &str| route.get(key).and_then(Value::as_str);
        let via = part("gw")
            .map(|gateway| format!(" via {gateway}"))
            .unwrap_or_default();
        format!("{}{via}", part("dst").unwrap_or("?"))
    });
    printed.collect::<Vec<_>>().join(", ")
}

/// JSON in one line with spaces where it may be folded.
fn spaced(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let pairs = object
                .iter()
                .map(|(key, value)| format!("\"{key}\":{}", spaced(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Array(array) => {
            format!(
                "[{}]",
                array.iter().map(spaced).collect::<Vec<_>>().join(", ")
            )
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_told_in_short() {
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
