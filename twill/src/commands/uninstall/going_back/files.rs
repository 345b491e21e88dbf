//! Addresses, what is derived from them, and kept configurations.

use std::fs;
use std::path::Path;

use allocator::{DEFAULT_LOCK_TIMEOUT, Location, StoreKind, remove_derived};
use anyhow::{Context, Result};
use state::BootId;

use super::GoingBack;
use crate::error::in_words;

impl GoingBack {
    /// Moves addresses from databases, which the Go plugins cannot read, to files. They would
    /// allocate the addresses of running containers, so this comes before they are put back.
    pub(super) fn convert_databases(&mut self) -> Result<()> {
        let mut moved = Vec::new();
        for store in &self.node.stores {
            let networks = store.database.as_deref().unwrap_or_default();
            for network in networks {
                let name = &network.network;
                let to = Location {
                    data_dir: store.data_dir.clone(),
                    network: name.clone(),
                    backend: StoreKind::Disk,
                    lock_timeout: DEFAULT_LOCK_TIMEOUT,
                };
                if !self.dry_run {
                    allocator::convert(&to, BootId::read())
                        .with_context(|| format!("cannot move the addresses of {name} to files"))?;
                }
                moved.push(name.clone());
            }
        }
        for name in moved {
            let rest = "files; remove \"backend\": \"db\" from its ipam";
            self.report(
                &format!("addresses of {name}"),
                &format!("are now {rest}"),
                &format!("would become {rest}"),
            );
        }
        Ok(())
    }

    /// Removes the indexes of addresses, which a later Twill rebuilds.
    pub(super) fn remove_derived_files(&mut self) {
        if self.dry_run {
            return;
        }
        for store in &self.node.stores {
            let dir = &store.data_dir;
            let shown = dir.display();
            match remove_derived(dir, BootId::read()) {
                Ok(false) => {}
                Ok(true) => self.lines.push(format!("index of {shown}: removed")),
                Err(error) => {
                    let error = in_words(&error.into());
                    self.lines.push(format!("left: index of {shown}: {error}"));
                }
            }
        }
    }

    /// The Go `flannel` has one file per container, and releases no other attachment.
    pub(super) fn report_kept(&mut self) {
        for kept in &self.node.kept {
            for file in kept.files.iter().flatten() {
                let parent = file.path.parent();
                if parent.is_some_and(|dir| dir.ends_with(FURTHER)) {
                    self.lines.push(format!(
                        "left: {}, a further attachment, whose address the Go flannel does not release",
                        file.path.display()
                    ));
                }
            }
            if !self.dry_run {
                remove_if_empty(&kept.data_dir.join(FURTHER));
            }
        }
    }
}

/// The directory of kept configurations of containers' further attachments.
const FURTHER: &str = ".attachments";

fn remove_if_empty(dir: &Path) {
    drop(fs::remove_dir(dir));
}
