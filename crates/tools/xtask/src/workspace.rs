//! Where the workspace's files are, and how its cargo is called.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;

/// The cargo profile of the tools, and of all that the tests of `cargo xtask test` need but for the
/// release binary: they share their dependencies. Its files are apart from those of a developer's
/// builds, so that nobody runs instrumented programs unawares.
pub const PROFILE: &str = "suite";

/// The workspace's directories.
pub struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Cargo's target directory, wherever its configuration puts it.
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    /// If cargo cannot be run or does not answer.
    pub fn find() -> Result<Self> {
        let mut cargo = Command::new(cargo_program());
        cargo.args(["metadata", "--format-version=1", "--no-deps"]);
        let printed = command::output(cargo.current_dir(env!("CARGO_MANIFEST_DIR")))?;
        let metadata: Value = serde_json::from_str(&printed)?;
        let dir = |key: &str| {
            let path = metadata.get(key).and_then(Value::as_str);
            path.map(PathBuf::from)
                .with_context(|| format!("`cargo metadata` has no `{key}`"))
        };
        Ok(Self {
            root: dir("workspace_root")?,
            target: dir("target_directory")?,
        })
    }

    /// The names of the plugins, in order: those of the directories in `plugins/`.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn plugins(&self) -> Result<Vec<String>> {
        let dir = self.root.join("plugins");
        let unreadable = || format!("cannot read {}", dir.display());
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir).with_context(unreadable)? {
            let entry = entry.with_context(unreadable)?;
            if entry.path().join("Cargo.toml").is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Where the plugins are left for use.
    pub fn dist_dir(&self) -> PathBuf {
        self.target.join("cni")
    }

    /// Where the archives of a release are left.
    pub fn release_dir(&self) -> PathBuf {
        self.target.join("release-archives")
    }

    /// Cargo that builds a tool and becomes it, where this process is.
    pub fn run(&self, package: &str) -> Command {
        let mut command = Command::new(cargo_program());
        command.args(["run", "--quiet", "--profile", PROFILE, "--package", package]);
        command
            .arg("--manifest-path")
            .arg(self.root.join("Cargo.toml"));
        command.arg("--");
        command
    }

    /// Cargo in the workspace's directory.
    pub fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new(cargo_program());
        command.args(args).current_dir(&self.root);
        command
    }
}

fn cargo_program() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}
