//! Attachments in libcni's cache of results, which runtimes keep.

use std::path::PathBuf;
use std::rc::Rc;

use cni_types::{Attachment, NetworkName};
use conflist::{Cache, Cached};
use serde::Deserialize;

use crate::{Part, Problem};

/// An attachment in the cache of results. The runtime writes it after ADD, and removes it after
/// DEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedAttachment {
    /// The network.
    pub network: NetworkName,
    /// The container and its interface.
    pub attachment: Attachment,
    /// The path of its namespace; only newer runtimes write it.
    pub netns: Option<PathBuf>,
    /// The pod that it is the sandbox of, if the runtime passed one.
    pub pod: Option<Rc<Pod>>,
    /// The node's ports that lead to it, if the runtime passed such.
    pub host_ports: Vec<HostPort>,
}

/// A port of the node, as a runtime passes it to `portmap`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostPort {
    /// The port; 0 maps none.
    pub host_port: u16,
    /// `tcp`, `udp` or `sctp`, in any case; `tcp` by default.
    #[serde(default = "tcp")]
    pub protocol: String,
}

fn tcp() -> String {
    "tcp".to_owned()
}

/// A pod of Kubernetes, or a container of podman's with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace; empty if there is none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl CachedAttachment {
    fn of(cached: Cached) -> Self {
        let runtime = cached.runtime;
        let arg = |key: &str| {
            let found = runtime.args.iter().find(|(name, _)| name == key);
            found.map(|(_, value)| value.clone())
        };
        let ports = runtime.capability_args.decode("portMappings");
        let ports: Option<Vec<HostPort>> = ports.ok().flatten();
        let pod = arg("K8S_POD_NAME").filter(|name| !name.is_empty());
        Self {
            pod: pod.map(|name| {
                Rc::new(Pod {
                    namespace: arg("K8S_POD_NAMESPACE").unwrap_or_default(),
                    name,
                })
            }),
            network: cached.network,
            attachment: runtime.attachment,
            netns: runtime.netns,
            host_ports: ports.unwrap_or_default(),
        }
    }
}

/// Reads the caches in some directories, unordered.
///
/// # Errors
/// [`Problem`] if a directory or a file in it cannot be read.
pub fn read_cached(dirs: &[PathBuf]) -> Part<Vec<CachedAttachment>> {
    let mut all = Vec::new();
    for dir in dirs {
        let visited = Cache::new(dir).visit(|cached| all.push(CachedAttachment::of(cached)));
        visited.map_err(Problem::of)?;
    }
    Ok(all)
}
