//! Finding and reading lists in a directory, as libcni does.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use cni_types::{NetworkName, Quoted};

use crate::{ListError, NetworkList};

/// The directory of network configurations, unless `NETCONFPATH` names another.
pub const DEFAULT_DIR: &str = "/etc/cni/net.d";

/// The directories of distributions whose runtime does not use [`DEFAULT_DIR`].
const DISTRIBUTIONS: [&str; 2] = [
    "/var/lib/rancher/k3s/agent/etc/cni/net.d",
    "/var/snap/microk8s/current/args/cni-network",
];

/// The directories of network configurations on this node, unless `NETCONFPATH` names one: those of
/// k3s and microk8s that exist, and [`DEFAULT_DIR`] if it exists or none of them does.
pub fn default_dirs() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = DISTRIBUTIONS.iter().map(PathBuf::from).collect();
    dirs.retain(|dir| dir.is_dir());
    let usual = PathBuf::from(DEFAULT_DIR);
    if dirs.is_empty() || usual.exists() {
        dirs.push(usual);
    }
    dirs
}

const LIST: &str = "conflist";
const SINGLE: [&str; 2] = ["conf", "json"];

/// The reason why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file or a directory cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A file is no list of plugins.
    #[error("{}: {error}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ListError,
    },
    /// A file is the list of another network.
    #[error("{} is the list of network {found}, not of {}", path.display(), Quoted(.wanted))]
    Other {
        /// The file.
        path: PathBuf,
        /// Its network.
        found: NetworkName,
        /// The network that the caller wants.
        wanted: String,
    },
    /// No file of a directory is the list of the network.
    #[error("no file in {} is the list of network {}{}", directory.display(), Quoted(.wanted), describe(.known, .unreadable))]
    Unknown {
        /// The directory.
        directory: PathBuf,
        /// The network that the caller wants.
        wanted: String,
        /// The networks of the directory.
        known: Vec<NetworkName>,
        /// The files that could not be read.
        unreadable: Vec<FileError>,
    },
}

fn describe(known: &[NetworkName], unreadable: &[FileError]) -> String {
    let names: Vec<&str> = known.iter().map(NetworkName::as_str).collect();
    let known = match names.as_slice() {
        [] => String::new(),
        names => format!("; networks there: {}", names.join(", ")),
    };
    let errors = unreadable.iter().map(|error| format!("; {error}"));
    errors.fold(known, |all, error| all + &error)
}

/// A file of a directory, and the list in it.
#[derive(Debug)]
pub struct Listed {
    /// The file.
    pub path: PathBuf,
    /// The list, or why there is none.
    pub list: Result<NetworkList, FileError>,
}

/// Reads a list from a file: a list, or the configuration of a single plugin. Unless the list has
/// `loadOnlyInlinedPlugins`, the plugins in `<name>/*.conf` beside the file follow those of the
/// list.
///
/// # Errors
/// [`FileError`], but for [`FileError::Other`] and [`FileError::Unknown`].
pub fn read(path: &Path) -> Result<NetworkList, FileError> {
    let text = read_text(path)?;
    let refused = |error| FileError::List {
        path: path.to_owned(),
        error,
    };
    if extension(path) != Some(LIST) && !NetworkList::is_list(&text) {
        return NetworkList::of_single(&text).map_err(refused);
    }
    let mut list = NetworkList::parse(&text).map_err(refused)?;
    if !list.load_only_inlined_plugins {
        let directory = path.parent().unwrap_or(Path::new("."));
        let directory = directory.join(list.name.as_str());
        for path in files(&directory, &["conf"])? {
            let text = read_text(&path)?;
            list.push(&text)
                .map_err(|error| FileError::List { path, error })?;
        }
    }
    if list.plugins.is_empty() {
        return Err(refused(ListError::NoPlugins));
    }
    Ok(list)
}

/// Finds a network's list: in `path` if that is a file, else in the files of this directory,
/// `.conflist` before `.conf` and `.json`, in the order of their names. A file that cannot be read
/// does not hide the network.
///
/// # Errors
/// [`FileError::Unknown`] if no file is the network's; [`FileError`] of the only file.
pub fn find(path: &Path, wanted: &str) -> Result<NetworkList, FileError> {
    if !path.is_dir() {
        let list = read(path)?;
        if list.name.as_str() == wanted {
            return Ok(list);
        }
        return Err(FileError::Other {
            path: path.to_owned(),
            found: list.name,
            wanted: wanted.to_owned(),
        });
    }
    let (mut known, mut unreadable) = (Vec::new(), Vec::new());
    let lists = files(path, &[LIST])?.into_iter();
    for path in lists.chain(files(path, &SINGLE)?) {
        match read(&path) {
            Ok(list) if list.name.as_str() == wanted => return Ok(list),
            Ok(list) => known.push(list.name),
            Err(error) => unreadable.push(error),
        }
    }
    Err(FileError::Unknown {
        directory: path.to_owned(),
        wanted: wanted.to_owned(),
        known,
        unreadable,
    })
}

/// Finds a network's list in the first of several files or directories that has it: see [`find`].
///
/// # Errors
/// The error of the last one.
pub fn find_in(paths: &[PathBuf], wanted: &str) -> Result<NetworkList, FileError> {
    let Some((last, others)) = paths.split_last() else {
        return find(Path::new(DEFAULT_DIR), wanted);
    };
    let found = others.iter().find_map(|path| find(path, wanted).ok());
    found.map_or_else(|| find(last, wanted), Ok)
}

/// All lists of a directory in the order of their files' names. containerd and CRI-O use the first
/// one. Without the directory there are none.
///
/// # Errors
/// [`FileError::Io`] if the directory cannot be read.
pub fn all(directory: &Path) -> Result<Vec<Listed>, FileError> {
    let files = files(directory, &[LIST, "conf", "json"])?.into_iter();
    let listed = files.map(|path| Listed {
        list: read(&path),
        path,
    });
    Ok(listed.collect())
}

fn extension(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

/// The files of a directory with one of these extensions, sorted.
fn files(directory: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, FileError> {
    let failed = |source| FileError::Io {
        path: directory.to_owned(),
        source,
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let is_wanted = extension(&path).is_some_and(|it| extensions.contains(&it));
        if is_wanted && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn read_text(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(|source| FileError::Io {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn directory(files: &[(&str, &str)]) -> TempDir {
        let directory = TempDir::with_prefix("twill-conflist-").unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    fn types(list: &NetworkList) -> Vec<&str> {
        let types = list.plugins.iter();
        types.map(|plugin| plugin.plugin_type.as_str()).collect()
    }

    #[test]
    fn lists_come_before_single_plugins_and_broken_files_hide_nothing() {
        let directory = directory(&[
            ("05-single.conf", r#"{"name": "a", "type": "single"}"#),
            ("10-broken.conflist", "{"),
            (
                "20-b.conflist",
                r#"{"name": "b", "plugins": [{"type": "b"}]}"#,
            ),
            (
                "30-a.conflist",
                r#"{"name": "a", "plugins": [{"type": "list"}]}"#,
            ),
            ("40-c.json", r#"{"name": "c", "type": "c"}"#),
            ("50-d.txt", r#"{"name": "d", "type": "d"}"#),
        ]);
        let path = directory.path();
        for (name, expected) in [("a", "list"), ("b", "b"), ("c", "c")] {
            assert_eq!(types(&find(path, name).unwrap()), [expected]);
        }
        let shown = path.display();
        assert_eq!(
            find(path, "d").unwrap_err().to_string(),
            format!(
                "no file in {shown} is the list of network \"d\"; networks there: b, a, a, c; \
                 {shown}/10-broken.conflist: EOF while parsing an object at line 1 column 1"
            )
        );
        let listed = all(path).unwrap();
        let names: Vec<_> = listed
            .iter()
            .map(|it| it.path.file_name().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "05-single.conf",
                "10-broken.conflist",
                "20-b.conflist",
                "30-a.conflist",
                "40-c.json"
            ]
        );
        assert!(listed[1].list.is_err());
        assert!(all(&path.join("none")).unwrap().is_empty());
    }

    #[test]
    fn plugins_beside_the_list_follow_its_own() {
        let directory = directory(&[
            (
                "10-a.conflist",
                r#"{"name": "a", "plugins": [{"type": "first"}]}"#,
            ),
            ("20-b.conflist", r#"{"name": "b"}"#),
            (
                "30-c.conflist",
                r#"{"name": "c", "loadOnlyInlinedPlugins": true, "plugins": [{"type": "only"}]}"#,
            ),
            ("40-d.conflist", r#"{"name": "d"}"#),
            ("a/20-third.conf", r#"{"type": "third"}"#),
            ("a/10-second.conf", r#"{"type": "second"}"#),
            ("a/30-other.json", r#"{"type": "other"}"#),
            ("b/10-alone.conf", r#"{"type": "alone"}"#),
            ("c/10-ignored.conf", r#"{"type": "ignored"}"#),
            ("e/10-x.conf", r#"{}"#),
            (
                "50-e.conflist",
                r#"{"name": "e", "plugins": [{"type": "x"}]}"#,
            ),
        ]);
        let path = directory.path();
        for (name, expected) in [
            ("a", &["first", "second", "third"][..]),
            ("b", &["alone"]),
            ("c", &["only"]),
        ] {
            assert_eq!(types(&find(path, name).unwrap()), expected);
        }
        let message = find(path, "d").unwrap_err().to_string();
        assert!(
            message.contains("40-d.conflist: plugins is missing or empty"),
            "{message}"
        );
        let message = find(path, "e").unwrap_err().to_string();
        assert!(
            message.contains("e/10-x.conf: plugins[1].type is missing"),
            "{message}"
        );
    }

    #[test]
    fn a_list_can_be_named_by_its_file() {
        let directory = directory(&[
            ("list", r#"{"name": "a", "plugins": [{"type": "x"}]}"#),
            ("single", r#"{"name": "b", "type": "y"}"#),
        ]);
        let list = directory.path().join("list");
        assert_eq!(types(&find(&list, "a").unwrap()), ["x"]);
        assert_eq!(
            types(&find(&directory.path().join("single"), "b").unwrap()),
            ["y"]
        );
        let message = find(&list, "b").unwrap_err().to_string();
        let expected = format!("{} is the list of network a, not of \"b\"", list.display());
        assert_eq!(message, expected);
        let missing = directory.path().join("none");
        let message = find(&missing, "b").unwrap_err().to_string();
        assert_eq!(
            message,
            format!(
                "cannot read {}: No such file or directory (os error 2)",
                missing.display()
            )
        );
    }
}
