//! What the runtime keeps of each attachment: libcni's cache of results.
//!
//! ```text
//! <dir>/<network>-<container ID>-<ifname>   {"kind": "cniCacheV1", "networkName": …, "cniArgs": …}
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use cni_types::json;
use cni_types::{ContainerId, IfName, NetworkName};
use serde::Deserialize;
use state::read_bounded;

use crate::{Part, Problem};

/// The most that is read of a file, in bytes.
const MAX_FILE: usize = 4 << 20;

/// An attachment, as the runtime has noted it at its ADD. The runtime removes the note with the
/// DEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedAttachment {
    /// The file.
    pub file: PathBuf,
    /// The network.
    pub network: NetworkName,
    /// The container.
    pub container_id: ContainerId,
    /// Its interface.
    pub ifname: IfName,
    /// The path of its namespace; only newer runtimes note it.
    pub netns: Option<PathBuf>,
    /// The pod that it is the sandbox of, if the runtime passed one.
    pub pod: Option<Pod>,
}

/// A pod of Kubernetes, or what podman calls by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace; empty if there is none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawEntry {
    #[serde(rename = "containerId")]
    container_id: String,
    #[serde(rename = "ifName")]
    ifname: String,
    #[serde(rename = "networkName")]
    network: String,
    #[serde(rename = "netns")]
    netns: Option<String>,
    #[serde(rename = "cniArgs")]
    args: Option<Vec<(String, String)>>,
}

impl CachedAttachment {
    fn parse(file: &Path, contents: &[u8]) -> Option<Self> {
        let raw: RawEntry = json::from_slice(contents).ok()?;
        let args = raw.args.unwrap_or_default();
        let arg = |key: &str| {
            let found = args.iter().find(|(name, _)| name == key);
            found.map(|(_, value)| value.clone())
        };
        let pod = arg("K8S_POD_NAME").filter(|name| !name.is_empty());
        Some(Self {
            file: file.to_owned(),
            network: raw.network.parse().ok()?,
            container_id: raw.container_id.parse().ok()?,
            ifname: raw.ifname.parse().ok()?,
            netns: raw.netns.filter(|path| !path.is_empty()).map(PathBuf::from),
            pod: pod.map(|name| Pod {
                namespace: arg("K8S_POD_NAMESPACE").unwrap_or_default(),
                name,
            }),
        })
    }
}

/// Reads the notes of some directories, in the order of the files' names. Files that are no notes
/// are passed over, and so are directories that do not exist.
pub(crate) fn read_cached(dirs: &[PathBuf]) -> Part<Vec<CachedAttachment>> {
    let mut cached = Vec::new();
    for dir in dirs {
        let failed = |error| Problem::of(format_args!("{}: {error}", dir.display()));
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let file = entry.map_err(failed)?.path();
            let contents = read_bounded(&file, MAX_FILE).unwrap_or_default();
            cached.extend(CachedAttachment::parse(&file, &contents));
        }
    }
    cached.sort_unstable_by(|one, other| one.file.cmp(&other.file));
    Ok(cached)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libcni_writes_is_read() {
        let temp = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(temp.path().join(name), text).unwrap();
        write(
            "cbr0-c1-eth0",
            r#"{"kind":"cniCacheV1","containerId":"c1","config":"e30=","ifName":"eth0","networkName":"cbr0",
                "netns":"/run/netns/cni-1","cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAMESPACE","default"],
                ["K8S_POD_NAME","web-0"],["K8S_POD_UID","u"]],"capabilityArgs":{"portMappings":null},
                "result":{"cniVersion":"1.0.0"}}"#,
        );
        write(
            "cbr0-c2-eth0",
            r#"{"kind":"cniCacheV1","containerId":"c2","ifName":"eth0","networkName":"cbr0"}"#,
        );
        // Before libcni 0.7, a file had the result and nothing else.
        write("cbr0-c3-eth0", r#"{"cniVersion":"0.3.1","ips":[]}"#);
        write("garbled", "{");
        let absent = temp.path().join("absent");
        let cached = read_cached(&[absent, temp.path().to_owned()]).unwrap();
        let shown: Vec<_> = cached
            .iter()
            .map(|it| {
                let pod = it
                    .pod
                    .as_ref()
                    .map(|pod| format!("{}/{}", pod.namespace, pod.name));
                (it.container_id.as_str(), it.netns.clone(), pod)
            })
            .collect();
        let netns = PathBuf::from("/run/netns/cni-1");
        let pod = "default/web-0".to_owned();
        assert_eq!(shown, [("c1", Some(netns), Some(pod)), ("c2", None, None)]);
    }
}
