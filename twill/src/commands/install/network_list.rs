//! kube-flannel's network list, and the plugins that a list needs.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use anyhow::{Context, Result};
use cni_types::json::{self, Object};
use conflist::files;

/// The name of kube-flannel's list.
const NAME: &str = "10-flannel.conflist";

/// kube-flannel's list.
const LIST: &str = r#"{
  "cniVersion": "1.0.0",
  "cniVersions": ["0.3.1", "1.0.0", "1.1.0"],
  "name": "cbr0",
  "plugins": [
    {
      "type": "flannel",
      "delegate": {
        "hairpinMode": true,
        "isDefaultGateway": true
      }
    },
    {
      "type": "portmap",
      "capabilities": {
        "portMappings": true
      }
    }
  ]
}
"#;

/// Writes kube-flannel's list into the first directory if none has a file for one, and returns a
/// line about it. A runtime sees the whole list or none.
pub(super) fn write(dirs: &[PathBuf], dry_run: bool) -> Result<String> {
    for dir in dirs {
        if let Some(first) = files::all(dir)?.first() {
            let path = first.path.display();
            return Ok(format!("{path}: unchanged, it is a network list"));
        }
    }
    let dir = dirs
        .first()
        .context("no directory of network lists is named")?;
    let (path, aside) = (dir.join(NAME), dir.join(format!(".{NAME}.twill-new")));
    if dry_run {
        return Ok(format!("{}: would be written", path.display()));
    }
    let write = || {
        DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
        drop(fs::remove_file(&aside));
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&aside)?;
        file.write_all(LIST.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, &path)
    };
    let written = write();
    drop(fs::remove_file(&aside));
    written.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(format!("{}: written", path.display()))
}

/// The types of the plugins that a list needs, delegates and IPAM plugins included; none if the
/// list cannot be decoded.
pub(crate) fn plugin_types(list: &str) -> Vec<String> {
    let list: Object = json::from_str(list).unwrap_or_default();
    let plugins: Option<Vec<Object>> = list.decode("plugins").ok().flatten();
    let plugins = plugins.unwrap_or_else(|| vec![list]);
    let mut types: Vec<String> = plugins.iter().flat_map(types_of).collect();
    types.sort_unstable();
    types.dedup();
    types
}

fn types_of(plugin: &Object) -> Vec<String> {
    let type_within = |key| {
        let object: Option<Object> = plugin.decode(key).ok().flatten();
        object.as_ref().and_then(type_of)
    };
    let own = type_of(plugin);
    let ipam = type_within("ipam");
    if own.as_deref() != Some("flannel") {
        return own.into_iter().chain(ipam).collect();
    }
    let delegate = type_within("delegate").unwrap_or_else(|| "bridge".to_owned());
    let ipam = ipam.unwrap_or_else(|| "host-local".to_owned());
    own.into_iter().chain([delegate, ipam]).collect()
}

fn type_of(object: &Object) -> Option<String> {
    let text: Option<String> = object.decode("type").ok().flatten();
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_list_is_that_of_the_readme() {
        let readme = include_str!("../../../../README.md");
        let (_, list) = readme.split_once("```json\n").unwrap();
        let (list, _) = list.split_once("```").unwrap();
        let decode = |text| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(decode(LIST), decode(list));
    }

    #[test]
    fn a_list_needs_delegates_and_ipam_plugins_too() {
        assert_eq!(
            plugin_types(LIST),
            ["bridge", "flannel", "host-local", "portmap"]
        );
        let podman = r#"{"plugins": [
            {"type": "bridge", "ipam": {"type": "host-local"}},
            {"type": "tuning"}, {"type": "tuning"}
        ]}"#;
        assert_eq!(plugin_types(podman), ["bridge", "host-local", "tuning"]);
        let single = r#"{"type": "flannel", "delegate": {"type": "ipvlan"}}"#;
        assert_eq!(plugin_types(single), ["flannel", "host-local", "ipvlan"]);
        // Plugins read keys without regard to case.
        let shouted = r#"{"PLUGINS": [{"Type": "flannel", "Delegate": {"TYPE": "macvlan"}}]}"#;
        assert_eq!(plugin_types(shouted), ["flannel", "host-local", "macvlan"]);
        assert_eq!(plugin_types("{"), [""; 0]);
    }
}
