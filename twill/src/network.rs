//! Shared by the commands that run a network's list of plugins by hand: options, lookup of the
//! list, calls and errors.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use cni_plugin::{DelegateError, Environment};
use cni_types::json::Object;
use cni_types::{Attachment, ContainerId, Error, IfName, NetworkName};
use conflist::{
    Cache, Cached, DEFAULT_CACHE_DIR, NetworkList, OperationError, PluginRequest, Plugins, Runtime,
    RuntimeConf, cnitool, files,
};
use netlink::{Netns, Rtnetlink};

use crate::context::Context;
use crate::output::visible;

/// The directory in which `ip netns` mounts its namespaces.
const NAMED: &str = "/var/run/netns";

const DEFAULT_IFNAME: &str = "eth0";

/// Which list of plugins, and how they are run.
#[derive(Args, Debug)]
pub(crate) struct ListOptions {
    /// The file with the list of plugins, or a directory of such files [default: NETCONFPATH, else
    /// /etc/cni/net.d and those of k3s and microk8s].
    #[arg(long, value_name = "PATH")]
    pub(crate) conf: Option<PathBuf>,
    /// The directories of the plugins, with ":" between them [default: CNI_PATH, else that of this
    /// program, /opt/cni/bin and others].
    #[arg(long, value_name = "DIRS")]
    pub(crate) path: Option<OsString>,
    /// The directory of the runtimes' cache of results [default: /var/lib/cni].
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Show each plugin's request, answer and time, on standard error.
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// One attachment to a network.
#[derive(Args, Debug)]
pub(crate) struct AttachmentOptions {
    /// The name of the network, which is in its list of plugins.
    network: NetworkName,
    /// The network namespace: a path, or a name of `ip netns`.
    netns: PathBuf,
    /// The interface in the namespace [default: CNI_IFNAME, else eth0].
    #[arg(short, long, value_name = "NAME")]
    ifname: Option<IfName>,
    /// The container ID [default: made from NETNS, as cnitool does].
    #[arg(long, value_name = "ID")]
    container: Option<ContainerId>,
    /// Arguments for all plugins, as KEY=VALUE;KEY=VALUE [default: CNI_ARGS].
    #[arg(long, value_name = "PAIRS")]
    args: Option<String>,
    /// Capability arguments, as a JSON object [default: CAP_ARGS]. A plugin gets those that its
    /// "capabilities" name.
    #[arg(long, value_name = "JSON")]
    cap: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    list: ListOptions,
}

/// A network's list, and the means to run its plugins.
pub(crate) struct Network {
    pub(crate) list: NetworkList,
    pub(crate) cache: Cache,
    plugins: Plugins,
    is_verbose: bool,
}

/// A network, and the operator's parameters for one attachment.
pub(crate) struct Site {
    pub(crate) network: Network,
    pub(crate) runtime: RuntimeConf,
    /// The cached result and parameters of the attachment's ADD.
    pub(crate) cached: Option<Cached>,
}

/// How many plugins were called, and how long they took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effort {
    calls: usize,
    time: Duration,
}

impl Effort {
    /// `2 plugins, 4.1 ms`, of a command that calls each plugin once.
    pub(crate) fn describe(self) -> String {
        self.describe_as("plugin")
    }

    /// `4 calls, 4.1 ms`.
    pub(crate) fn describe_calls(self) -> String {
        self.describe_as("call")
    }

    fn describe_as(self, noun: &str) -> String {
        let plural = if self.calls == 1 { "" } else { "s" };
        let time = milliseconds(self.time);
        format!("{} {noun}{plural}, {time}", self.calls)
    }
}

impl ListOptions {
    fn cache(&self) -> Cache {
        let directory = self.cache.as_deref();
        Cache::new(directory.unwrap_or(Path::new(DEFAULT_CACHE_DIR)))
    }

    /// Finds a network's list.
    pub(crate) fn open(&self, network: &NetworkName) -> Result<Network> {
        self.open_or(network, None)
    }

    /// As [`ListOptions::open`]; without a list on disk, it is that of the attachment's ADD.
    fn open_or(&self, network: &NetworkName, cached: Option<&Cached>) -> Result<Network> {
        let Context { environment } = Context::of_process();
        let variable = |name| environment.get(name).map(OsString::from);
        let conf = self.conf.clone();
        let conf = conf.or_else(|| variable("NETCONFPATH").map(PathBuf::from));
        let conf = conf.map_or_else(files::default_dirs, |conf| vec![conf]);
        let path = self.path.clone().or_else(|| variable("CNI_PATH"));
        let list = match files::find_in(&conf, network.as_str()) {
            Ok(list) => list,
            Err(error) => cached
                .and_then(|cached| NetworkList::parse(&cached.list).ok())
                .ok_or(error)?,
        };
        Ok(Network {
            list,
            cache: self.cache(),
            plugins: Plugins::new(&path.unwrap_or_default(), &environment),
            is_verbose: self.verbose,
        })
    }
}

impl AttachmentOptions {
    /// Reads the list, the cache and the environment. A DEL takes parameters that it is not given
    /// from the cached ADD.
    pub(crate) fn open(&self) -> Result<Site> {
        let environment = Environment::of_process();
        let variable = |name| {
            let value = environment.get(name);
            value.map(|value| value.to_string_lossy().into_owned())
        };
        let netns = path_of(&self.netns)?;
        let ifname = match (&self.ifname, variable("CNI_IFNAME")) {
            (Some(ifname), _) => ifname.clone(),
            (None, Some(text)) => text.parse().context("CNI_IFNAME")?,
            (None, None) => DEFAULT_IFNAME.parse()?,
        };
        let container_id = match &self.container {
            Some(id) => id.clone(),
            None => cnitool::container_id(&netns)?,
        };
        let attachment = Attachment {
            container_id,
            ifname,
        };
        let cache = self.list.cache();
        // A DEL works without the cached ADD. If the cache cannot be read, ADD and CHECK report it.
        let cached = cache.find(&self.network, &attachment).ok().flatten();
        let args = match (&self.args, variable("CNI_ARGS")) {
            (Some(text), _) => Some(RuntimeConf::parse_args(text).context("--args")?),
            (None, Some(text)) => Some(RuntimeConf::parse_args(&text).context("CNI_ARGS")?),
            (None, None) => None,
        };
        let capability_args = match (&self.cap, variable("CAP_ARGS")) {
            (Some(text), _) => Some(capabilities(text, "--cap")?),
            (None, Some(text)) => Some(capabilities(&text, "CAP_ARGS")?),
            (None, None) => None,
        };
        let of_add = cached.as_ref().map(|cached| &cached.runtime);
        let runtime = RuntimeConf {
            attachment,
            netns: Some(netns),
            args: args
                .or_else(|| of_add.map(|runtime| runtime.args.clone()))
                .unwrap_or_default(),
            capability_args: capability_args
                .or_else(|| of_add.map(|runtime| runtime.capability_args.clone()))
                .unwrap_or_default(),
        };
        Ok(Site {
            network: self.list.open_or(&self.network, cached.as_ref())?,
            runtime,
            cached,
        })
    }
}

impl Network {
    /// Runs a command, and returns how many plugins it called and how long that took.
    pub(crate) fn run<T>(
        &self,
        command: impl FnOnce(&mut Runtime<'_, DelegateError>) -> T,
    ) -> (T, Effort) {
        let mut effort = Effort::default();
        let mut call = |request: &PluginRequest<'_>| {
            if self.is_verbose {
                self.show_request(request);
            }
            let start = Instant::now();
            let answer = self.plugins.run(request);
            let elapsed = start.elapsed();
            effort.calls += 1;
            effort.time += elapsed;
            if self.is_verbose {
                show_answer(&answer, elapsed);
            }
            answer
        };
        let outcome = command(&mut Runtime::new(&self.cache, &mut call));
        (outcome, effort)
    }

    /// Checks that each plugin of the list is installed.
    pub(crate) fn require_plugins(&self) -> Result<(), DelegateError> {
        let mut plugins = self.list.plugins.iter();
        plugins.try_for_each(|plugin| self.plugins.find(&plugin.plugin_type).map(drop))
    }

    fn show_request(&self, request: &PluginRequest<'_>) {
        let (command, plugin_type) = (request.command, request.plugin_type);
        let file = self.plugins.find(plugin_type);
        let file = file.map_or_else(|error| error.to_string(), |file| file.display().to_string());
        note(&format!("{command} {plugin_type}: {file}"));
        for (name, value) in self.plugins.variables(request) {
            if !value.is_empty() {
                note(&format!("  {name}={}", value.display()));
            }
        }
        note(&format!("  request: {}", request.conf));
    }
}

fn show_answer(answer: &Result<String, DelegateError>, elapsed: Duration) {
    match answer {
        Ok(text) if text.trim().is_empty() => {}
        Ok(text) => note(&format!("  answer: {}", text.trim())),
        Err(error) => note(&format!("  failed: {error}")),
    }
    note(&format!("  time: {}", milliseconds(elapsed)));
}

/// Writes a line to standard error; an error is ignored, because the reader may have closed the
/// pipe.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", visible(line));
}

impl Site {
    /// `eth0 of /var/run/netns/testing`.
    pub(crate) fn describe(&self) -> String {
        let netns = self.runtime.netns.as_deref().unwrap_or(Path::new(""));
        format!("{} of {}", self.runtime.attachment.ifname, netns.display())
    }

    /// The capability arguments that no plugin of the list takes.
    pub(crate) fn unused_capabilities(&self) -> impl Iterator<Item = &str> {
        let is_used = |name: &str| {
            let plugins = &self.network.list.plugins;
            plugins
                .iter()
                .any(|plugin| plugin.capabilities.iter().any(|known| known == name))
        };
        let names = self.runtime.capability_args.keys();
        names.filter(move |name| !is_used(name))
    }

    /// Refuses a namespace that does not exist.
    pub(crate) fn require_netns(&self) -> Result<()> {
        match self.runtime.netns.as_deref() {
            Some(netns) if !netns.exists() => bail!(
                "there is no network namespace {}: `ip netns add NAME` creates one",
                netns.display()
            ),
            _ => Ok(()),
        }
    }

    /// Whether the namespace has an interface of the attachment's name, other than `lo`, which
    /// every namespace has. ADD would fail, and the DEL after it would remove the interface.
    ///
    /// # Errors
    /// If the namespace cannot be looked into.
    pub(crate) fn has_interface(&self) -> Result<bool> {
        let name = self.runtime.attachment.ifname.as_str();
        let Some(path) = self.runtime.netns.as_deref().filter(|_| name != "lo") else {
            return Ok(false);
        };
        let (netns, home) = Netns::open_with_home(path)?;
        let mut kernel = Rtnetlink::open_in(&netns, &home)?;
        Ok(kernel.link_by_name(name)?.is_some())
    }
}

/// The error object of the specification for a failure.
pub(crate) fn error_object(error: OperationError<DelegateError>) -> Option<Error> {
    match error {
        OperationError::Plugin { error, .. } => Some((*error).into()),
        _ => None,
    }
}

fn capabilities(text: &str, name: &'static str) -> Result<Object> {
    RuntimeConf::parse_capabilities(text).context(name)
}

/// The absolute path of a namespace; a name without a slash is one of `ip netns`.
fn path_of(netns: &Path) -> Result<PathBuf> {
    let is_name = !netns.as_os_str().is_empty() && netns.components().count() == 1;
    if is_name && !netns.to_string_lossy().contains('/') {
        return Ok(Path::new(NAMED).join(netns));
    }
    std::path::absolute(netns).context("NETNS")
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_namespace_of_ip_netns() {
        for (netns, expected) in [
            ("testing", "/var/run/netns/testing"),
            ("/run/netns/a", "/run/netns/a"),
            ("/proc/1/ns/net", "/proc/1/ns/net"),
        ] {
            assert_eq!(path_of(Path::new(netns)).unwrap(), Path::new(expected));
        }
        let here = std::path::absolute("a").unwrap();
        assert_eq!(path_of(Path::new("./a")).unwrap(), here);
        assert!(path_of(Path::new("")).is_err());
    }
}
