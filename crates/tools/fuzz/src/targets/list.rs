//! Network lists, and a runtime's cache of results.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use cni_types::json::{self, Object};
use cni_types::{Attachment, ValidAttachments};
use conflist::{Cache, NetworkList, PluginRequest, Runtime, RuntimeConf, files};

use crate::jail::write;

const CONF_DIR: &str = "/net.d";
const CACHE_DIR: &str = "/cache";

/// The file extensions that a runtime reads. `.conf` has one plugin.
const NAMES: [&str; 2] = ["10.conflist", "10.conf"];

/// Each usable list is run by ADD, CHECK, DEL and GC, in which every plugin gets an object with the
/// name and the version of the list, and which leave the cache as they found it.
pub(super) fn feed(input: &[u8]) -> Result<()> {
    for name in NAMES {
        write(&Path::new(CONF_DIR).join(name), input)?;
    }
    write(&Path::new(CACHE_DIR).join("results/input"), input)?;
    for listed in files::all(Path::new(CONF_DIR))? {
        if let Ok(list) = listed.list {
            run(&list)?;
        }
    }
    Ok(())
}

fn run(list: &NetworkList) -> Result<()> {
    let cache = Cache::new(Path::new(CACHE_DIR));
    let before = cache.all()?.len();
    let runtime = RuntimeConf {
        attachment: Attachment {
            container_id: "c1".parse()?,
            ifname: "eth0".parse()?,
        },
        netns: Some("/run/netns/c1".into()),
        args: vec![("IgnoreUnknown".to_owned(), "1".to_owned())],
        capability_args: RuntimeConf::parse_capabilities(r#"{"portMappings": [], "mac": ""}"#)?,
    };
    let mut answer = |request: &PluginRequest<'_>| is_complete(list, request);
    let mut calls = Runtime::new(&cache, &mut answer);
    // A result that is valid in every version. Only CHECK is not in each.
    calls.add(list, &runtime).context("ADD fails")?;
    drop(calls.check(list, &runtime));
    calls.del(list, &runtime).context("DEL fails")?;
    ensure!(
        cache.all()?.len() == before,
        "an attachment stays in the cache"
    );
    let gc = calls.gc(list, &ValidAttachments::default());
    gc.map_err(|errors| anyhow!("GC fails: {errors:?}"))?;
    Ok(())
}

/// Answers a plugin's request with a result that is valid in every version.
fn is_complete(list: &NetworkList, request: &PluginRequest<'_>) -> Result<String> {
    let conf: Object = json::from_str(&request.conf).context("a plugin gets no JSON object")?;
    let name = conf.decode::<String>("name")?;
    ensure!(
        name.as_deref() == Some(list.name.as_str()),
        "a plugin gets the name {name:?}"
    );
    let version = conf.decode::<String>("cniVersion")?;
    ensure!(
        version.as_deref() == Some(list.version.as_str()),
        "a plugin gets the version {version:?}"
    );
    Ok(format!(r#"{{"cniVersion":"{}"}}"#, list.version.as_str()))
}
