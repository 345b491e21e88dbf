//! The report about what was installed or uninstalled.

use std::path::Path;

use anyhow::{Error, Result, bail};
use serde::Serialize;

use super::{Selection, Work};
use crate::cli::Outcome;
use crate::error::in_words;
use crate::output::Output;

/// What has become of a name, or would become of it.
pub(crate) enum Change {
    /// The file has changed.
    Changed(&'static str),
    /// The file is left alone, for this reason.
    Left(&'static str),
    /// The file is what it should be.
    Unchanged,
}

/// The report; the fields are the keys of its JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    dry_run: bool,
    files: Vec<FileView>,
    /// What else was done.
    remarks: Vec<String>,
    /// What the node still lacks.
    needed: Vec<String>,
    #[serde(skip)]
    lines: Vec<String>,
    #[serde(skip)]
    is_json: bool,
    #[serde(skip)]
    pub(crate) failures: Vec<Error>,
}

#[derive(Serialize)]
struct FileView {
    file: String,
    change: &'static str,
}

impl Report {
    pub(crate) fn new(selection: &Selection) -> Self {
        Self {
            dry_run: selection.dry_run,
            is_json: selection.json,
            files: Vec::new(),
            remarks: Vec::new(),
            needed: Vec::new(),
            lines: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Adds the work in a directory.
    pub(crate) fn add<T: Copy>(&mut self, dir: &Path, work: &Work<T>, words: fn(T) -> Change) {
        let verb = if self.dry_run { "would be " } else { "" };
        let mut unchanged = 0;
        for (name, change) in &work.done {
            let file = dir.join(name).display().to_string();
            let change = match words(*change) {
                Change::Changed(change) => {
                    self.lines.push(format!("{file}: {verb}{change}"));
                    change
                }
                Change::Left(reason) => {
                    self.lines.push(format!("{file}: {reason}"));
                    reason
                }
                Change::Unchanged => {
                    unchanged += 1;
                    "unchanged"
                }
            };
            self.files.push(FileView { file, change });
        }
        if unchanged > 0 {
            self.lines
                .push(format!("{}: {unchanged} unchanged", dir.display()));
        }
    }

    /// Adds a failure, which is that of the work in a directory.
    pub(crate) fn fail(&mut self, failure: Option<Error>) {
        self.failures.extend(failure);
    }

    /// Adds what was done beside the files of plugins.
    pub(crate) fn remark(&mut self, line: String) {
        self.lines.push(line.clone());
        self.remarks.push(line);
    }

    /// Adds what the node still lacks.
    pub(crate) fn need(&mut self, need: String) {
        self.lines.push(format!("needed: {need}"));
        self.needed.push(need);
    }

    /// Prints the report.
    ///
    /// # Errors
    /// All failures of the work, in one error.
    pub(crate) fn print(self, output: &mut Output<'_>) -> Result<Outcome> {
        if self.is_json {
            output.json(&self);
        } else {
            self.lines.iter().for_each(|line| output.line(line));
        }
        if self.failures.is_empty() {
            return Ok(Outcome::Done);
        }
        let messages: Vec<String> = self.failures.iter().map(in_words).collect();
        bail!("{}", messages.join("\n"))
    }
}
