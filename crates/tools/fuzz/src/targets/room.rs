//! The files in the jail.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) const SUBNET_FILE: &str = "/run/flannel/subnet.env";
pub(crate) const DATA_DIR: &str = "/data";
pub(crate) const NETWORK: &str = "cbr0";

/// Not the plugins', and no directory to look into.
const PROC: &str = "/proc";

/// Removes all files.
pub(crate) fn clear() -> Result<(), String> {
    let clear = || -> io::Result<()> {
        for entry in fs::read_dir("/")? {
            let entry = entry?;
            if entry.path() == Path::new(PROC) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    clear().map_err(|error| format!("the jail cannot be cleared: {error}"))
}

/// Writes a file, and its directories where they are missing.
pub(crate) fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, contents)
}

/// All files, not their directories.
pub(crate) fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    list(Path::new("/"), &mut files);
    files
}

fn list(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path == Path::new(PROC) {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// A configuration of host-local for its directory here, with more keys of `ipam` and of its own.
pub(crate) fn host_local_conf(ipam: &str, others: &str) -> String {
    format!(
        r#"{{"cniVersion":"1.1.0","name":"{NETWORK}","type":"host-local",{others}
        "ipam":{{"type":"host-local","dataDir":"{DATA_DIR}",{ipam}
        "ranges":[[{{"subnet":"10.244.1.0/24"}}],[{{"subnet":"fd00:10:244:1::/64"}}]]}}}}"#
    )
}
