//! A container, attached and detached through flannel.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cni_plugin::{DelegateError, Environment};
use cni_types::Attachment;
use cni_types::json::Object;
use conflist::{Cache, DEFAULT_CACHE_DIR, NetworkList, PluginRequest, Runtime, RuntimeConf};
use serde_json::{Value, json};
use testkit::{Container, Node};
use xtask::terminal::time;

use crate::delegate::Delegate;
use crate::{MTU, NETWORK};

const IFNAME: &str = "eth0";

/// Where flannel keeps what it delegated.
pub(crate) const KEPT: &str = "/var/lib/cni/flannel";

/// The network's list of plugins, and where these are.
pub(crate) struct Plugins {
    list: NetworkList,
    plugins: conflist::Plugins,
    cache: Cache,
    dir: PathBuf,
}

impl Plugins {
    pub(crate) fn new(dir: &Path, delegate: Delegate) -> Result<Self> {
        let list = json!({
            "cniVersion": "1.0.0",
            "cniVersions": ["0.3.1", "1.0.0", "1.1.0"],
            "name": NETWORK,
            "plugins": [
                { "type": "flannel", "delegate": delegate.conf() },
                { "type": "portmap", "capabilities": { "portMappings": true } },
            ],
        });
        Ok(Self {
            list: NetworkList::parse(&list.to_string())?,
            plugins: conflist::Plugins::new(dir.as_os_str(), &Environment::of_process()),
            cache: Cache::new(Path::new(DEFAULT_CACHE_DIR)),
            dir: dir.to_owned(),
        })
    }

    /// The network's list, as JSON.
    pub(crate) fn list(&self) -> &str {
        self.list.as_json()
    }

    /// The plugins' directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Has a command call the plugins for a container, as a runtime of Kubernetes does. Returns
    /// also how long that took.
    fn run<T: Send, C>(
        &self,
        node: &Node,
        container: &Container,
        command: C,
    ) -> Result<(T, Duration)>
    where
        C: FnOnce(&mut Runtime<'_, DelegateError>, &NetworkList, &RuntimeConf) -> T + Send,
    {
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
}

impl Attached {
    /// Makes a container's network namespace and has it attached. Returns also what to print.
    ///
    /// # Panics
    /// If the container is not attached as the lease has it.
    pub(crate) fn new(plugins: &Plugins, node: &Node, id: &str) -> Result<(Self, Vec<String>)> {
        let container = Container::new(id);
        let (result, elapsed) =
            plugins.run(node, &container, |it, list, runtime| it.add(list, runtime))?;
        let result: Value = serde_json::from_str(&result?)?;
        let text = |pointer: &str| {
            let value = result.pointer(pointer).and_then(Value::as_str);
            value.with_context(|| format!("the result has no {pointer}: {result}"))
        };
        let address = text("/ips/0/address")?.to_owned();
        assert_eq!(text("/cniVersion")?, "1.1.0", "{result}");
        let link = container.link(IFNAME);
        assert_eq!(
            link.mtu(),
            MTU,
            "{IFNAME} of {id} has another MTU: {link:?}"
        );
        let interfaces = result.get("interfaces").and_then(Value::as_array);
        let mut inside = interfaces.into_iter().flatten().filter(|interface| {
            let sandbox = interface.get("sandbox").and_then(Value::as_str);
            interface.get("name") == Some(&json!(IFNAME))
                && sandbox.is_some_and(|it| !it.is_empty())
        });
        let inside = inside
            .next()
            .context("the result lacks the container's interface")?;
        assert_eq!(
            inside.get("mac"),
            Some(&json!(link.mac())),
            "{IFNAME} of {id} has another MAC"
        );
        let path = format!("{KEPT}/{id}");
        let delegated: Value = serde_json::from_str(&node.read(&path))
            .with_context(|| format!("{path} is no JSON"))?;
        let lines = vec![
            format!("the plugins took {}", time(elapsed)),
            format!("{IFNAME} {address}, {}, mtu {MTU}", link.mac()),
            format!("routes {}", container.routes().join(", ")),
            format!("{path}: {delegated}"),
        ];
        let attached = Self { container, address };
        Ok((attached, lines))
    }

    /// Has the container detached.
    pub(crate) fn detach(&self, plugins: &Plugins, node: &Node) -> Result<((), Vec<String>)> {
        let (outcome, elapsed) = plugins.run(node, &self.container, |it, list, runtime| {
            it.del(list, runtime)
        })?;
        outcome?;
        Ok(((), vec![format!("the plugins took {}", time(elapsed))]))
    }

    /// The address alone.
    pub(crate) fn ip(&self) -> &str {
        self.address.split('/').next().unwrap_or_default()
    }

    /// One echo request from inside the container.
    pub(crate) fn ping(&self, node: &Node, to: &str) -> Result<((), Vec<String>)> {
        let mut ping = Command::new("ping");
        ping.args(["-n", "-c1", "-W2", to]);
        let output = node.enter(|| self.container.sandbox.command(&mut ping));
        let (text, id) = (String::from_utf8_lossy(&output.stdout), &self.container.id);
        ensure!(
            output.status.success(),
            "no answer from {to} to {id}: {text}"
        );
        let answer = text.lines().find(|line| line.contains("time="));
        let answer = answer.with_context(|| format!("ping printed no time: {text}"))?;
        Ok(((), vec![answer.to_owned()]))
    }
}
