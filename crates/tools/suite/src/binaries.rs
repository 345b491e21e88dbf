//! The test binaries and the programs that they run, as cargo builds them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use xtask::command;

/// All test binaries of the workspace, and all programs for them.
pub(super) struct Binaries(Vec<Binary>);

pub(super) struct Binary {
    /// The name of the package's directory.
    pub(super) package: String,
    pub(super) target: String,
    pub(super) kind: BinaryKind,
    /// The package's directory.
    pub(super) dir: PathBuf,
    pub(super) file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BinaryKind {
    UnitTests,
    IntegrationTests,
    Program,
}

impl Binaries {
    /// Builds them with a cargo command.
    pub(super) fn build(mut cargo: Command) -> Result<Self> {
        cargo.arg("--message-format=json-render-diagnostics");
        let messages = command::output(&mut cargo).context("the tests do not build")?;
        Ok(Self(messages.lines().filter_map(Binary::of).collect()))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Binary> {
        self.0.iter()
    }

    /// All tests.
    pub(super) fn tests(&self) -> impl Iterator<Item = &Binary> {
        self.all()
            .filter(|binary| binary.kind != BinaryKind::Program)
    }

    /// The integration tests of packages below a directory.
    pub(super) fn integration_tests(&self, dir: &Path) -> impl Iterator<Item = &Binary> {
        let tests = self
            .all()
            .filter(|binary| binary.kind == BinaryKind::IntegrationTests);
        tests.filter(move |binary| binary.dir.starts_with(dir))
    }

    /// An integration test of a package.
    pub(super) fn integration_test(&self, package: &str, target: &str) -> Result<&Binary> {
        self.find(BinaryKind::IntegrationTests, package, target)
    }

    /// The program of a package that has its name.
    pub(super) fn program(&self, package: &str) -> Result<&Path> {
        let binary = self.find(BinaryKind::Program, package, package)?;
        Ok(&binary.file)
    }

    fn find(&self, kind: BinaryKind, package: &str, target: &str) -> Result<&Binary> {
        let mut all = self.all().filter(|binary| binary.kind == kind);
        all.find(|binary| binary.package == package && binary.target == target)
            .with_context(|| format!("{package} has no {target}"))
    }
}

/// One of cargo's messages, if it is about a file that can be run.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    profile: Profile,
    executable: PathBuf,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

impl Binary {
    fn of(message: &str) -> Option<Self> {
        let artifact: Artifact = serde_json::from_str(message).ok()?;
        let kind = match (
            artifact.target.kind.first()?.as_str(),
            artifact.profile.test,
        ) {
            ("test", _) => BinaryKind::IntegrationTests,
            (_, true) => BinaryKind::UnitTests,
            ("bin", _) => BinaryKind::Program,
            // A build script.
            _ => return None,
        };
        let dir = artifact.manifest_path.parent()?.to_owned();
        Some(Self {
            package: dir.file_name()?.to_str()?.to_owned(),
            target: artifact.target.name,
            kind,
            dir,
            file: artifact.executable,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn binaries_are_known_by_kind_package_and_name() {
        let message = |kind: &str, is_test: bool| {
            let message = json!({
                "reason": "compiler-artifact",
                "package_id": "path+file:///w/plugins/ipvlan#twill-ipvlan@0.1.0",
                "manifest_path": "/w/plugins/ipvlan/Cargo.toml",
                "target": { "kind": [kind], "name": "parity" },
                "profile": { "test": is_test },
                "executable": "/t/parity-1",
            });
            Binary::of(&message.to_string())
        };
        for (kind, is_test, expected) in [
            ("test", true, BinaryKind::IntegrationTests),
            ("lib", true, BinaryKind::UnitTests),
            ("bin", true, BinaryKind::UnitTests),
            ("bin", false, BinaryKind::Program),
        ] {
            let binary = message(kind, is_test).unwrap();
            assert_eq!((&*binary.package, &*binary.target), ("ipvlan", "parity"));
            assert_eq!(binary.kind, expected);
            assert_eq!(binary.dir, Path::new("/w/plugins/ipvlan"));
            assert_eq!(binary.file, Path::new("/t/parity-1"));
        }
        assert!(message("custom-build", false).is_none());
        assert!(Binary::of(r#"{"reason":"build-finished"}"#).is_none());
    }
}
