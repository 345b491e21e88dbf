//! A directory's whole contents as a value.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The entry at each path below a directory: `None` for a directory, else the contents of the file
/// or link with escaped control characters.
pub(crate) type Contents = BTreeMap<String, Option<String>>;

/// The contents of a directory without the indexes, which are derived; empty if it does not exist.
pub(crate) fn contents(directory: &Path) -> Contents {
    let mut found = Contents::new();
    if directory.exists() {
        collect(directory, "", &mut found);
    }
    found
}

fn collect(directory: &Path, prefix: &str, found: &mut Contents) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == ".index" {
            continue;
        }
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        let contents = if kind.is_dir() {
            collect(&entry.path(), &format!("{name}/"), found);
            None
        } else if kind.is_symlink() {
            Some(format!(
                "-> {}",
                fs::read_link(entry.path()).unwrap().display()
            ))
        } else if !kind.is_file() {
            Some("no regular file".to_owned())
        } else {
            Some(fs::read(entry.path()).unwrap().escape_ascii().to_string())
        };
        found.insert(name, contents);
    }
}
