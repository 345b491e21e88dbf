//! The results of ADD, kept for CHECK, DEL and GC in libcni's format.

mod base64;

use std::path::{Path, PathBuf};
use std::time::Duration;

use cni_types::json::{self, DecodeError, Object};
use cni_types::{AddResult, Attachment, IfName, NetworkName, Version};
use serde::{Deserialize, Serialize};
use state::{Dir, StateError};

use crate::{NetworkList, RuntimeConf};

/// libcni's directory, which containerd, CRI-O and podman use too.
pub const DEFAULT_CACHE_DIR: &str = "/var/lib/cni";

/// The directory's mode, and that of its subdirectory.
const MODE: u32 = 0o700;

const KIND: &str = "cniCacheV1";

/// The timeout for other writers, which write one small file each.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a result could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The disk.
    #[error(transparent)]
    State(#[from] StateError),
    /// The file is not what libcni writes.
    #[error("the cached result {}: {error}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: DecodeError,
    },
}

/// The cache of a runtime: `<directory>/results/<network>-<container ID>-<ifname>`, one file per
/// attachment.
#[derive(Clone, Debug)]
pub struct Cache {
    results: PathBuf,
}

/// The cached parameters and result of one attachment.
#[derive(Clone, Debug)]
pub struct Cached {
    /// The network.
    pub network: NetworkName,
    /// The runtime's parameters of the ADD.
    pub runtime: RuntimeConf,
    /// The text of the network's list at the ADD.
    pub list: String,
    /// The result.
    result: Object,
}

impl Cached {
    /// The result as JSON in the shape of a version.
    ///
    /// # Errors
    /// [`DecodeError`] if it is no result, or the version cannot express it.
    pub fn result(&self, version: Version) -> Result<String, DecodeError> {
        AddResult::pass_on(&self.result.to_json()?, version)
    }
}

/// A file, with the keys in libcni's order. Before libcni 0.7.1, a file had the result alone.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    kind: String,
    container_id: String,
    config: String,
    if_name: String,
    network_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    netns: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cni_args: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "is_empty")]
    capability_args: Object,
    #[serde(default, skip_serializing_if = "is_empty")]
    result: Object,
}

fn is_empty(object: &Object) -> bool {
    object.keys().next().is_none()
}

impl Cache {
    /// The cache in a directory, which need not exist.
    pub fn new(directory: &Path) -> Self {
        Self {
            results: directory.join("results"),
        }
    }

    /// The file of an attachment.
    pub fn path(&self, network: &NetworkName, attachment: &Attachment) -> PathBuf {
        self.results.join(file_name(network, attachment))
    }

    /// Keeps the result of an ADD, in the place of an earlier one.
    ///
    /// # Errors
    /// [`CacheError::State`]; [`CacheError::Decode`] for a result that is no JSON object.
    pub fn keep(
        &self,
        list: &NetworkList,
        runtime: &RuntimeConf,
        result: &str,
    ) -> Result<(), CacheError> {
        let attachment = &runtime.attachment;
        let netns = runtime.netns.as_ref();
        let encode = || -> Result<Vec<u8>, DecodeError> {
            let file = File {
                kind: KIND.to_owned(),
                container_id: attachment.container_id.to_string(),
                config: base64::encode(list.as_json().as_bytes()),
                if_name: attachment.ifname.to_string(),
                network_name: list.name.to_string(),
                netns: netns.map(|path| path.to_string_lossy().into_owned()),
                cni_args: runtime.args.clone(),
                capability_args: runtime.capability_args.clone(),
                result: json::from_str(result)?,
            };
            serde_json::to_vec(&file).map_err(|error| DecodeError::at("", error))
        };
        let bytes = encode().map_err(|error| CacheError::Decode {
            path: self.path(&list.name, attachment),
            error,
        })?;
        let directory = Dir::create(&self.results, MODE)?;
        let writer = directory.lock_whole(LOCK_TIMEOUT)?;
        Ok(writer.replace(&file_name(&list.name, attachment), &bytes)?)
    }

    /// The cached parameters and result of an attachment; `None` if there is no file.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn find(
        &self,
        network: &NetworkName,
        attachment: &Attachment,
    ) -> Result<Option<Cached>, CacheError> {
        let Some(directory) = Dir::open(&self.results)? else {
            return Ok(None);
        };
        let Some(bytes) = directory.read(&file_name(network, attachment))? else {
            return Ok(None);
        };
        let cached = match decode(&bytes) {
            // libcni before 0.7.1 wrote the result alone.
            Err(error) => match json::from_slice::<Object>(&bytes) {
                Ok(result) if !result.contains("kind") => Ok(Cached {
                    network: network.clone(),
                    runtime: RuntimeConf {
                        attachment: attachment.clone(),
                        netns: None,
                        args: Vec::new(),
                        capability_args: Object::default(),
                    },
                    list: String::new(),
                    result,
                }),
                _ => Err(error),
            },
            cached => cached,
        };
        cached.map(Some).map_err(|error| CacheError::Decode {
            path: self.path(network, attachment),
            error,
        })
    }

    /// Removes the file of an attachment, if there is one.
    ///
    /// # Errors
    /// [`CacheError::State`].
    pub fn remove(&self, network: &NetworkName, attachment: &Attachment) -> Result<(), CacheError> {
        let Some(directory) = Dir::open(&self.results)? else {
            return Ok(());
        };
        let name = file_name(network, attachment);
        // Nothing is left to remove on a file system that is mounted read-only, either.
        if directory.read(&name)?.is_some() {
            directory.lock_whole(LOCK_TIMEOUT)?.remove(&name)?;
        }
        Ok(())
    }

    /// All attachments in the cache, in no order, those of other runtimes too. Files that are not
    /// what libcni writes today are left out.
    ///
    /// # Errors
    /// [`CacheError::State`] if the directory cannot be read.
    pub fn all(&self) -> Result<Vec<Cached>, CacheError> {
        let mut all = Vec::new();
        self.visit(|cached| all.push(cached))?;
        Ok(all)
    }

    /// Passes each of [`Cache::all`] to a function, which may keep less than all of it.
    ///
    /// # Errors
    /// As [`Cache::all`].
    pub fn visit(&self, mut visit: impl FnMut(Cached)) -> Result<(), CacheError> {
        let Some(directory) = Dir::open(&self.results)? else {
            return Ok(());
        };
        directory.visit(|name| {
            let bytes = name.to_str().and_then(|name| directory.read(name).ok()?);
            if let Some(cached) = bytes.and_then(|bytes| decode(&bytes).ok()) {
                visit(cached);
            }
            Ok::<(), CacheError>(())
        })
    }
}

fn file_name(network: &NetworkName, attachment: &Attachment) -> String {
    let Attachment {
        container_id,
        ifname,
    } = attachment;
    format!("{network}-{container_id}-{ifname}")
}

fn decode(bytes: &[u8]) -> Result<Cached, DecodeError> {
    let file: File = json::from_slice(bytes)?;
    if file.kind != KIND {
        return Err(DecodeError::at("kind", format!("is not {KIND}")));
    }
    let list = base64::decode(&file.config).and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(Cached {
        network: parse("networkName", file.network_name.parse())?,
        runtime: RuntimeConf {
            attachment: Attachment {
                container_id: parse("containerId", file.container_id.parse())?,
                ifname: parse("ifName", IfName::recorded(&file.if_name))?,
            },
            netns: file.netns.map(PathBuf::from),
            args: file.cni_args,
            capability_args: file.capability_args,
        },
        list: list.ok_or_else(|| DecodeError::at("config", "is no text in base64"))?,
        result: file.result,
    })
}

fn parse<T, E: std::fmt::Display>(key: &str, parsed: Result<T, E>) -> Result<T, DecodeError> {
    parsed.map_err(|error| DecodeError::at(key, error))
}

#[cfg(test)]
mod tests;
