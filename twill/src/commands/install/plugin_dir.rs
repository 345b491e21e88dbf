//! A directory of plugins, and the changes to the files in it.
//!
//! A plugin is called at any moment, so a name always has a complete file: a new one is written
//! under a name of its own, and then renamed. All files are written before the first is renamed,
//! so a full disk changes nothing.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::binary::{Binary, is_twill};
use super::selection::Selection;

/// The permissions of a plugin.
const MODE: u32 = 0o755;

/// What happens to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Installed {
    /// The name has this build already.
    Unchanged,
    /// Nothing had the name.
    New,
    /// Another build of Twill, or a link to one, had the name.
    Update,
    /// A file of another project had the name, and is kept.
    Replacement,
}

/// What happens to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// The file before Twill's has the name again.
    PutBack,
    /// Nothing has the name any more.
    Gone,
    /// The name has a newer file of another project, so only the kept one is removed.
    NotOurs,
}

/// The changes that were made, or would be made, and the error that stopped them.
pub(crate) struct Work<Change> {
    pub(crate) done: Vec<(&'static str, Change)>,
    pub(crate) failure: Option<anyhow::Error>,
}

impl<Change> Work<Change> {
    pub(crate) fn failed(error: anyhow::Error) -> Self {
        Self {
            done: Vec::new(),
            failure: Some(error),
        }
    }
}

/// The file that has a name.
enum Occupant {
    Nothing,
    ThisBuild,
    Twill,
    Foreign,
}

/// A directory of plugins, locked against other installations.
pub(crate) struct PluginDir {
    path: PathBuf,
    /// Holds the lock.
    open: File,
}

impl PluginDir {
    /// Opens the directory, and creates it if it is missing.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let created = DirBuilder::new().recursive(true).mode(MODE).create(path);
        created.with_context(|| format!("cannot create {}", path.display()))?;
        Self::open(path)
    }

    /// `None` if there is no such directory.
    pub(super) fn open_if_there(path: &Path) -> Result<Option<Self>> {
        match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            _ => Self::open(path).map(Some),
        }
    }

    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = || format!("cannot open {}", path.display());
        let open = File::open(path).with_context(failed)?;
        if !open.metadata().with_context(failed)?.is_dir() {
            bail!("{} is not a directory", path.display());
        }
        // On a file system without locks, two installations at a time go unnoticed.
        drop(open.lock());
        Ok(Self {
            path: path.to_owned(),
            open,
        })
    }

    /// The file that has a name.
    fn occupant(&self, name: &str, binary: Option<&Binary>) -> Result<Occupant> {
        let path = self.path.join(name);
        let failed = || format!("cannot read {}", path.display());
        let own = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Occupant::Nothing),
            metadata => metadata.with_context(failed)?,
        };
        if own.is_dir() {
            bail!("{} is a directory: remove it", path.display());
        }
        if !fs::metadata(&path).is_ok_and(|target| target.is_file()) {
            return Ok(Occupant::Foreign);
        }
        let is_whole = own.is_file() && own.mode() & 0o7777 == MODE;
        if let Some(binary) = binary
            && is_whole
            && binary.is_in(&path).with_context(failed)?
        {
            return Ok(Occupant::ThisBuild);
        }
        Ok(match is_twill(&path).with_context(failed)? {
            true => Occupant::Twill,
            false => Occupant::Foreign,
        })
    }

    fn plan(&self, name: &str, binary: &Binary) -> Result<Installed> {
        Ok(match self.occupant(name, Some(binary))? {
            Occupant::Nothing => Installed::New,
            Occupant::ThisBuild => Installed::Unchanged,
            Occupant::Twill => Installed::Update,
            Occupant::Foreign => Installed::Replacement,
        })
    }

    /// Writes the binary under a name of its own.
    fn stage(&self, name: &str, binary: &Binary) -> Result<()> {
        let path = self.staged(name);
        let write = || {
            remove_if_there(&path)?;
            let new = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o700)
                .open(&path);
            let mut file = new?;
            binary.copy_to(&mut file)?;
            file.set_permissions(Permissions::from_mode(MODE))?;
            // The name must not lead to an empty file after a power cut.
            file.sync_all()
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Gives the staged binary its name.
    fn commit(&self, name: &str, change: Installed) -> Result<()> {
        let path = self.path.join(name);
        if change == Installed::Replacement {
            self.keep(name)
                .with_context(|| format!("cannot keep {}", path.display()))?;
        }
        fs::rename(self.staged(name), &path)
            .with_context(|| format!("cannot replace {}", path.display()))
    }

    /// Gives the file that has a name a second one, under which it is kept.
    fn keep(&self, name: &str) -> io::Result<()> {
        let (path, kept) = (self.path.join(name), self.kept(name));
        if is_same_file(&path, &kept) {
            return Ok(());
        }
        let aside = self.nearly_kept(name);
        remove_if_there(&aside)?;
        fs::hard_link(&path, &aside).or_else(|_| copy(&path, &aside))?;
        fs::rename(&aside, &kept)
    }

    fn plan_removal(&self, name: &str) -> Result<Option<Removed>> {
        let has_kept = self.kept(name).symlink_metadata().is_ok();
        Ok(match self.occupant(name, None)? {
            Occupant::ThisBuild | Occupant::Twill if !has_kept => Some(Removed::Gone),
            Occupant::ThisBuild | Occupant::Twill => Some(Removed::PutBack),
            Occupant::Nothing => has_kept.then_some(Removed::PutBack),
            Occupant::Foreign => has_kept.then_some(Removed::NotOurs),
        })
    }

    fn remove(&self, name: &str, change: Removed) -> Result<()> {
        let (path, kept) = (self.path.join(name), self.kept(name));
        match change {
            Removed::PutBack => fs::rename(&kept, &path)
                .with_context(|| format!("cannot put {} back", path.display())),
            Removed::Gone => {
                remove_if_there(&path).with_context(|| format!("cannot remove {}", path.display()))
            }
            Removed::NotOurs => {
                remove_if_there(&kept).with_context(|| format!("cannot remove {}", kept.display()))
            }
        }
    }

    fn staged(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.twill-new"))
    }

    fn kept(&self, name: &str) -> PathBuf {
        self.path.join(kept_name(name))
    }

    /// The name of a file that is about to replace the kept one.
    fn nearly_kept(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.before-twill.new"))
    }

    /// Removes the staged files of this run, or of an earlier run that was killed.
    fn clean_up(&self, names: impl Iterator<Item = &'static str>) {
        for name in names {
            drop(fs::remove_file(self.staged(name)));
            drop(fs::remove_file(self.nearly_kept(name)));
        }
    }

    fn sync(&self) -> Result<()> {
        let synced = self.open.sync_all();
        synced.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Installs the selected names; all are new where there is no directory, of a dry run.
pub(super) fn install(
    dir: Option<&PluginDir>,
    binary: &Binary,
    selection: &Selection,
) -> Work<Installed> {
    let plan = |name| match dir {
        Some(dir) => Ok((name, dir.plan(name, binary)?)),
        None => Ok((name, Installed::New)),
    };
    let planned: Result<Vec<(&str, Installed)>> = selection.names().map(plan).collect();
    match (planned, dir) {
        (Err(error), _) => Work::failed(error),
        (Ok(planned), Some(dir)) if !selection.dry_run => carry_out(dir, binary, planned),
        (Ok(done), _) => Work {
            done,
            failure: None,
        },
    }
}

fn carry_out(
    dir: &PluginDir,
    binary: &Binary,
    planned: Vec<(&'static str, Installed)>,
) -> Work<Installed> {
    let (unchanged, changes): (Vec<_>, Vec<_>) = planned
        .into_iter()
        .partition(|(_, change)| *change == Installed::Unchanged);
    let mut done = unchanged;
    let mut work = || {
        for (name, _) in &changes {
            dir.stage(name, binary)?;
        }
        for (name, change) in &changes {
            dir.commit(name, *change)?;
            done.push((*name, *change));
        }
        match changes.is_empty() {
            true => Ok(()),
            false => dir.sync(),
        }
    };
    let failure = work().err();
    dir.clean_up(done.iter().chain(&changes).map(|(name, _)| *name));
    Work { done, failure }
}

/// Removes the selected names, and puts back the files that had them before.
pub(crate) fn uninstall(dir: &PluginDir, selection: &Selection) -> Work<Removed> {
    let plan = |name| Ok(dir.plan_removal(name)?.map(|change| (name, change)));
    let planned: Result<Vec<(&str, Removed)>> = selection
        .names()
        .filter_map(|name| plan(name).transpose())
        .collect();
    let mut planned = match planned {
        Ok(planned) => planned,
        Err(error) => return Work::failed(error),
    };
    // Names that disappear altogether go last: a plugin of Twill that is still there may call one.
    planned.sort_by_key(|(_, change)| *change == Removed::Gone);
    let mut done = Vec::new();
    let mut work = || {
        for (name, change) in &planned {
            if !selection.dry_run {
                dir.remove(name, *change)?;
            }
            done.push((*name, *change));
        }
        match planned.is_empty() || selection.dry_run {
            true => Ok(()),
            false => dir.sync(),
        }
    };
    let failure = work().err();
    if !selection.dry_run {
        dir.clean_up(selection.names());
    }
    Work { done, failure }
}

/// The name under which the file that a plugin replaces is kept.
pub(crate) fn kept_name(name: &str) -> String {
    format!(".{name}.before-twill")
}

/// Whether two names lead to one inode. Renaming one of them to the other would do nothing.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| {
        let metadata = path.symlink_metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    identity(one).is_some() && identity(one) == identity(other)
}

/// Copies a file or a symbolic link, where the file system has no hard links.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
