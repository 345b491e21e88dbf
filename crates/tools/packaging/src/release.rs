//! What all files of a release share.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use xtask::command;
use xtask::workspace::Workspace;

/// The version, which all files have in their names.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A release that is being made.
pub struct Release<'a> {
    /// The sources.
    pub workspace: &'a Workspace,
    /// The directory of the release's files.
    pub dir: PathBuf,
    /// The time of all files in archives and packages, in seconds since 1970: that of the last
    /// commit, or `SOURCE_DATE_EPOCH`.
    pub time: u64,
}

impl<'a> Release<'a> {
    /// A release of the workspace, whose files go into a directory.
    ///
    /// # Errors
    /// If `SOURCE_DATE_EPOCH` is not a number.
    pub fn new(workspace: &'a Workspace, dir: &Path) -> Result<Self> {
        let time = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(time) => time,
            Err(_) => time_of_commit(&workspace.root).unwrap_or_else(|_| EARLIEST.to_owned()),
        };
        let time = time.trim().parse();
        Ok(Self {
            workspace,
            dir: dir.to_owned(),
            time: time.context("SOURCE_DATE_EPOCH is not a number of seconds")?,
        })
    }

    /// The release's time in UTC, as `date` prints it with these arguments.
    ///
    /// # Errors
    /// If `date` fails.
    pub fn date(&self, arguments: &[&str]) -> Result<String> {
        let mut date = Command::new("date");
        date.args(["--utc", &format!("--date=@{}", self.time)])
            .args(arguments)
            .env("LC_ALL", "C");
        Ok(command::output(&mut date)?.trim_end().to_owned())
    }
}

/// The time of sources without a commit: 1980, the earliest that every format can hold.
const EARLIEST: &str = "315532800";

fn time_of_commit(root: &Path) -> Result<String> {
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(root);
    command::output(&mut git)
}
