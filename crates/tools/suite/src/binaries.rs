//! What the tests are, and what they run, as cargo builds it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// All test binaries of the workspace, and all programs for them.
pub(super) struct Binaries(Vec<Binary>);

pub(super) struct Binary {
    pub(super) package: String,
    pub(super) target: String,
    kind: Kind,
    /// The package's directory.
    pub(super) dir: PathBuf,
    pub(super) file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    UnitTests,
    IntegrationTests,
    Program,
}

impl Binaries {
    /// Has cargo build, and takes what it prints about that.
    pub(super) fn build(mut cargo: Command) -> Result<Self> {
        let output = cargo
            .arg("--message-format=json-render-diagnostics")
            .stdin(Stdio::null())
            .output()
            .context("cannot run cargo")?;
        if !output.status.success() {
            let printed = String::from_utf8_lossy(&output.stderr);
            bail!("the tests do not build:\n{}", printed.trim_end());
        }
        let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
        let mut all = Vec::new();
        for message in messages {
            all.extend(binary(&message?));
        }
        Ok(Self(all))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Binary> {
        self.0.iter()
    }

    /// All tests.
    pub(super) fn tests(&self) -> impl Iterator<Item = &Binary> {
        self.all().filter(|binary| binary.kind != Kind::Program)
    }

    /// The integration tests of packages below a directory.
    pub(super) fn integration_tests(&self, dir: &Path) -> impl Iterator<Item = &Binary> {
        self.all().filter(move |binary| {
            binary.kind == Kind::IntegrationTests && binary.dir.starts_with(dir)
        })
    }

    /// An integration test of a package.
    pub(super) fn integration_test(&self, package: &str, target: &str) -> Result<&Binary> {
        self.find(Kind::IntegrationTests, package, target)
    }

    /// The program of a package that has its name.
    pub(super) fn program(&self, package: &str) -> Result<&Path> {
        let binary = self.find(Kind::Program, package, package)?;
        Ok(&binary.file)
    }

    fn find(&self, kind: Kind, package: &str, target: &str) -> Result<&Binary> {
        let mut all = self.all().filter(|binary| binary.kind == kind);
        all.find(|binary| binary.package == package && binary.target == target)
            .with_context(|| format!("{package} has no {target}"))
    }
}

/// What one of cargo's messages says, if it is about something that can be run.
fn binary(message: &Value) -> Option<Binary> {
    if message.get("reason")? != "compiler-artifact" {
        return None;
    }
    let text = |pointer: &str| message.pointer(pointer)?.as_str();
    let file = text("/executable")?.into();
    let kind = match (text("/target/kind/0")?, message.pointer("/profile/test")?) {
        ("test", _) => Kind::IntegrationTests,
        (_, Value::Bool(true)) => Kind::UnitTests,
        ("bin", _) => Kind::Program,
        // A build script.
        _ => return None,
    };
    let manifest = Path::new(text("/manifest_path")?);
    Some(Binary {
        package: package_name(text("/package_id")?)?.to_owned(),
        target: text("/target/name")?.to_owned(),
        kind,
        dir: manifest.parent()?.to_owned(),
        file,
    })
}

/// `path+file:///dir/name#0.1.0` or `path+file:///dir#name@0.1.0`, see `cargo help pkgid`.
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
    fn what_was_built_is_told_by_kind_package_and_name() {
        let message = |kind: &str, is_test: bool, id: &str| {
            json!({
                "reason": "compiler-artifact",
                "package_id": id,
                "manifest_path": "/w/plugins/ipvlan/Cargo.toml",
                "target": { "kind": [kind], "name": "parity" },
                "profile": { "test": is_test },
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
            for (kind, is_test, expected) in [
                ("test", true, Kind::IntegrationTests),
                ("lib", true, Kind::UnitTests),
                ("bin", true, Kind::UnitTests),
                ("bin", false, Kind::Program),
            ] {
                let binary = binary(&message(kind, is_test, id)).unwrap();
                assert_eq!((&*binary.package, &*binary.target), (package, "parity"));
                assert_eq!(binary.kind, expected);
                assert_eq!(binary.dir, Path::new("/w/plugins/ipvlan"));
                assert_eq!(binary.file, Path::new("/t/parity-1"));
            }
            assert!(binary(&message("custom-build", false, id)).is_none());
        }
        assert!(binary(&json!({ "reason": "build-finished" })).is_none());
    }
}
