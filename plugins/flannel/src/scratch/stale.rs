//! What GC has to delete.

use std::path::PathBuf;

use cni_types::{ContainerId, NetworkName, ValidAttachments};
use state::{Dir, StateError, WriteGuard};

use super::names::shortened_names;
use super::{
    DIRECTORY_MODE, Entry, FURTHER, File, LOCK_TIMEOUT, ONLY_USUAL, Scratch, Slot, USUAL_IFNAME,
};

/// How many first files there are at least where [`ONLY_USUAL`] is worth making: a few are read in
/// no time.
const MANY: usize = 64;

/// What GC has to delete, and what it cannot know about.
#[derive(Debug, Default)]
pub(crate) struct Stale {
    /// The usable configurations whose attachments are not valid any more: in the order of the
    /// files' names, the first attachments before the others.
    pub(crate) entries: Vec<Entry>,
    /// An error for each file that cannot be read.
    pub(crate) unread: Vec<StateError>,
}

impl Scratch {
    /// Finds the configurations of a network whose attachments are not valid any more. The files of
    /// others are not opened, but for first ones that may be of another interface than their
    /// container's valid ones.
    pub(crate) fn stale(
        &self,
        network: &NetworkName,
        valid: &ValidAttachments,
    ) -> Result<Stale, StateError> {
        let mut stale = Stale::default();
        let only_usual = self.0.open_child(ONLY_USUAL)?.is_some();
        let mut names = names(&self.0, is_container)?;
        // Nothing is to be kept between the look at all files and the mark.
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
            match stale.look_at(&self.0, name, Slot::First, network, valid) {
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
                stale.look_at(&further, &name, Slot::Further, network, valid);
            }
        }
        Ok(stale)
    }

    /// Calls `visit` with each file that may have a configuration, and what it has if that is
    /// usable.
    pub(crate) fn visit(
        &self,
        mut visit: impl FnMut(PathBuf, Option<Entry>),
    ) -> Result<(), StateError> {
        let further = self.0.open_child(FURTHER)?;
        let slots = [
            (Some(&self.0), Slot::First),
            (further.as_ref(), Slot::Further),
        ];
        for (dir, slot) in slots {
            let Some(dir) = dir else { continue };
            for name in names(dir, |name| slot == Slot::Further || is_container(name))? {
                match File::read(dir, &name, slot) {
                    Ok(Some(file)) => visit(dir.path().join(&name), Entry::new(slot, &name, file)),
                    // Gone by now, or not ours: a directory, a link.
                    Ok(None) | Err(StateError::NotAFile(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Calls `take` with the usable configurations of a network, in no order, until it has what it
    /// wants of one.
    pub(crate) fn find_map<T>(
        &self,
        network: &NetworkName,
        mut take: impl FnMut(&Entry) -> Option<T>,
    ) -> Result<Option<T>, StateError> {
        let further = self.0.open_child(FURTHER)?;
        let slots = [
            (Some(&self.0), Slot::First),
            (further.as_ref(), Slot::Further),
        ];
        for (dir, slot) in slots {
            let Some(dir) = dir else { continue };
            for name in names(dir, |_| true)? {
                let file = File::read(dir, &name, slot).ok().flatten();
                let entry = file.and_then(|file| Entry::new(slot, &name, file));
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
    /// Reads a file, and takes it over if it is stale. The interface that the file says it is of,
    /// if it says any; `None` if it cannot be read.
    fn look_at(
        &mut self,
        dir: &Dir,
        name: &str,
        slot: Slot,
        network: &NetworkName,
        valid: &ValidAttachments,
    ) -> Option<Option<String>> {
        let file = match File::read(dir, name, slot) {
            Ok(Some(file)) => file,
            // Gone by now, or not ours: a directory, a link.
            Ok(None) | Err(StateError::NotAFile(_)) => return Some(None),
            Err(error) => {
                self.unread.push(error);
                return None;
            }
        };
        let owner = file.owner.clone();
        let entry = Entry::new(slot, name, file);
        self.entries
            .extend(entry.filter(|entry| entry.is_of(network) && !entry.is_valid(valid)));
        Some(owner)
    }
}

/// The names in a directory that are wanted, in ascending order.
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

/// Marks a directory whose first files are all of the usual interface.
fn mark(guard: &WriteGuard<'_>) {
    // Without the mark, the next GC reads all files again.
    let _ = guard.dir().create_child(ONLY_USUAL, DIRECTORY_MODE);
}
