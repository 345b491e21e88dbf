//! The kept configurations of stale attachments.

use std::iter;
use std::path::PathBuf;

use cni_types::{ContainerId, NetworkName, ValidAttachments};
use state::{Dir, Stamp, StateError, WriteGuard};

use super::names::shortened_names;
use super::{
    DIRECTORY_MODE, Entry, FURTHER, File, FileKind, LOCK_TIMEOUT, ONLY_USUAL, Scratch, USUAL_IFNAME,
};

/// The number of first files from which on [`ONLY_USUAL`] is worth creating: reading a few files is
/// fast.
const MANY: usize = 64;

/// The kept configurations that GC has to handle, and the files that it cannot read.
#[derive(Debug, Default)]
pub(crate) struct Stale {
    /// The usable configurations whose attachments are not valid any more: in the order of the
    /// files' names, the first attachments before the others.
    pub(crate) entries: Vec<Entry>,
    /// An error for each file that cannot be read.
    pub(crate) unread: Vec<StateError>,
}

impl Scratch {
    /// Finds the configurations of a network whose attachments are stale. Of valid attachments, it
    /// opens only first files, which may belong to another interface of the container than the
    /// valid one.
    pub(crate) fn stale(
        &self,
        network: &NetworkName,
        valid: &ValidAttachments,
    ) -> Result<Stale, StateError> {
        let mut stale = Stale::default();
        let only_usual = self.0.open_child(ONLY_USUAL)?.is_some();
        let mut names = names(&self.0, is_container)?;
        // No ADD may keep a configuration between reading all files and creating the directory.
        let guard = if only_usual || names.len() < MANY {
            None
        } else {
            self.0.lock_whole(LOCK_TIMEOUT).ok()
        };
        if guard.is_some() {
            names = self::names(&self.0, is_container)?;
        }
        let mut has_others = false;
        for name in &names {
            if only_usual && valid.contains(name, USUAL_IFNAME) {
                continue;
            }
            match stale.look_at(&self.0, name, FileKind::First, network, valid) {
                Some(owner) => has_others |= owner.is_some_and(|owner| owner != USUAL_IFNAME),
                None => has_others = true,
            }
        }
        if let Some(guard) = guard.filter(|_| !has_others) {
            mark(&guard);
        }

        if let Some(further) = self.0.open_child(FURTHER)? {
            let shortened = shortened_names(valid);
            let may_be_stale = |name: &str| match name.split_once(':') {
                Some((container_id, ifname)) => {
                    !valid.contains(container_id, ifname) && !shortened.contains(name)
                }
                None => false,
            };
            for name in self::names(&further, may_be_stale)? {
                stale.look_at(&further, &name, FileKind::Further, network, valid);
            }
        }
        Ok(stale)
    }

    /// Calls `visit` with the path of each file that may contain a configuration, with the time of
    /// its last change, and with the configuration if it is usable.
    pub(crate) fn visit(
        &self,
        mut visit: impl FnMut(PathBuf, Stamp, Option<Entry>),
    ) -> Result<(), StateError> {
        let further = self.0.open_child(FURTHER)?;
        for (dir, kind) in self.directories(further.as_ref()) {
            for name in names(dir, |name| kind == FileKind::Further || is_container(name))? {
                match File::read(dir, &name, kind) {
                    Ok(Some(file)) => {
                        let path = dir.path().join(&name);
                        visit(path, file.changed, Entry::new(kind, &name, file));
                    }
                    // Removed meanwhile, or not a kept configuration: a directory, a link.
                    Ok(None) | Err(StateError::NotAFile(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// The directories with configurations: that of the first attachments, and that of the others,
    /// if it exists.
    fn directories<'a>(
        &'a self,
        further: Option<&'a Dir>,
    ) -> impl Iterator<Item = (&'a Dir, FileKind)> {
        let further = further.map(|further| (further, FileKind::Further));
        iter::once((&self.0, FileKind::First)).chain(further)
    }

    /// Calls `take` with the usable configurations of a network, unordered, until it returns a
    /// value.
    pub(crate) fn find_map<T>(
        &self,
        network: &NetworkName,
        mut take: impl FnMut(&Entry) -> Option<T>,
    ) -> Result<Option<T>, StateError> {
        let further = self.0.open_child(FURTHER)?;
        for (dir, kind) in self.directories(further.as_ref()) {
            for name in names(dir, |_| true)? {
                let file = File::read(dir, &name, kind).ok().flatten();
                let entry = file.and_then(|file| Entry::new(kind, &name, file));
                let entry = entry.filter(|entry| entry.is_of(network));
                if let Some(taken) = entry.as_ref().and_then(&mut take) {
                    return Ok(Some(taken));
                }
            }
        }
        Ok(None)
    }
}

impl Stale {
    /// Reads a file, and adds its configuration to the entries if it is stale. Returns the
    /// interface that the file names, if any; `None` if the file cannot be read.
    fn look_at(
        &mut self,
        dir: &Dir,
        name: &str,
        kind: FileKind,
        network: &NetworkName,
        valid: &ValidAttachments,
    ) -> Option<Option<String>> {
        let file = match File::read(dir, name, kind) {
            Ok(Some(file)) => file,
            // Removed meanwhile, or not a kept configuration: a directory, a link.
            Ok(None) | Err(StateError::NotAFile(_)) => return Some(None),
            Err(error) => {
                self.unread.push(error);
                return None;
            }
        };
        let owner = file.owner.clone();
        let entry = Entry::new(kind, name, file);
        self.entries
            .extend(entry.filter(|entry| entry.is_of(network) && !entry.is_valid(valid)));
        Some(owner)
    }
}

/// The names in a directory that pass a filter, in ascending order.
fn names(dir: &Dir, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, StateError> {
    let mut names = Vec::new();
    dir.visit(|name| {
        let name = name.to_str().filter(|name| is_wanted(name));
        names.extend(name.map(str::to_owned));
        Ok::<_, StateError>(())
    })?;
    names.sort_unstable();
    Ok(names)
}

fn is_container(name: &str) -> bool {
    name.parse::<ContainerId>().is_ok()
}

/// Creates [`ONLY_USUAL`].
fn mark(guard: &WriteGuard<'_>) {
    // If this fails, the next GC reads all files again.
    let _ = guard.dir().create_child(ONLY_USUAL, DIRECTORY_MODE);
}
