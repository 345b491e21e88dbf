//! Test binaries, as cargo builds them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Suite;
use crate::test::run::Setting;

/// The test binaries of all packages that have a target of one of some names.
pub(super) struct Binaries(Vec<Binary>);

struct Binary {
    package: String,
    target: String,
    /// The package's folder.
    folder: PathBuf,
    file: PathBuf,
}

impl Binaries {
    /// Builds them as the part `test` does, so that nothing is built twice.
    pub(super) fn build<'a>(
        setting: &Setting<'_>,
        targets: impl Iterator<Item = &'a str>,
    ) -> Result<Self> {
        let mut cargo = setting.cargo(&["test", "--workspace", "--no-run"]);
        cargo.arg("--message-format=json-render-diagnostics");
        for target in targets {
            cargo.args(["--test", target]);
        }
        let output = cargo
            .stdin(Stdio::null())
            .output()
            .context("cannot run `cargo test --no-run`")?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            bail!("`cargo test --no-run` failed:\n{}", told.trim_end());
        }
        let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
        let mut all = Vec::new();
        for message in messages {
            all.extend(test_binary(&message?));
        }
        Ok(Self(all))
    }

    pub(super) fn get(&self, suite: &Suite) -> Result<&Path> {
        self.find(suite).map(|binary| &*binary.file)
    }

    /// The folder of the package that it is a test of.
    pub(super) fn folder(&self, suite: &Suite) -> Result<&Path> {
        self.find(suite).map(|binary| &*binary.folder)
    }

    fn find(&self, suite: &Suite) -> Result<&Binary> {
        let (package, target) = (suite.package, suite.target);
        let mut all = self.0.iter();
        all.find(|binary| binary.package == package && binary.target == target)
            .with_context(|| format!("{package} has no test {target}"))
    }
}

/// What one of cargo's messages tells, if it is about a test that was built.
fn test_binary(message: &Value) -> Option<Binary> {
    let kind = message.pointer("/target/kind/0")?;
    if message.get("reason")? != "compiler-artifact" || kind != "test" {
        return None;
    }
    let text = |pointer: &str| message.pointer(pointer)?.as_str();
    let manifest = Path::new(text("/manifest_path")?);
    Some(Binary {
        package: package_name(text("/package_id")?)?.to_owned(),
        target: text("/target/name")?.to_owned(),
        folder: manifest.parent()?.to_owned(),
        file: text("/executable")?.into(),
    })
}

/// `path+file:///folder/name#0.1.0` or `path+file:///folder#name@0.1.0`, see `cargo help pkgid`.
fn package_name(id: &str) -> Option<&str> {
    let (url, fragment) = id.rsplit_once('#')?;
    match fragment.split_once('@') {
        Some((name, _)) => Some(name),
        None => url.rsplit('/').next(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_built_test_is_found_by_package_and_name() {
        let message = |kind: &str, id: &str| {
            json!({
                "reason": "compiler-artifact",
                "package_id": id,
                "manifest_path": "/w/plugins/ipvlan/Cargo.toml",
                "target": { "kind": [kind], "name": "parity" },
                "executable": "/t/parity-1",
            })
        };
        for (id, package) in [
            (
                "path+file:///w/plugins/ipvlan#twill-ipvlan@0.1.0",
                "twill-ipvlan",
            ),
            ("path+file:///w/crates/netlink#0.1.0", "netlink"),
        ] {
            let binary = test_binary(&message("test", id)).unwrap();
            assert_eq!((&*binary.package, &*binary.target), (package, "parity"));
            assert_eq!(binary.folder, Path::new("/w/plugins/ipvlan"));
            assert_eq!(binary.file, Path::new("/t/parity-1"));
            assert!(test_binary(&message("bin", id)).is_none());
        }
        assert!(test_binary(&json!({ "reason": "build-finished" })).is_none());
    }
}
