//! Archives of a release: the same bytes from the same files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{self, Show};

/// The time of all files in an archive, in seconds since 1970: 1980, the earliest that every format
/// can hold.
const TIME: &str = "@315532800";

/// Packs the directory `name` in `dir` as `<name>.tar.gz` beside it, and returns the archive's
/// path. Owners, times and the order of files depend on nothing but the files.
///
/// # Errors
/// If `tar` fails.
pub fn pack(dir: &Path, name: &str) -> Result<PathBuf> {
    let archive = dir.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--format=gnu", "--numeric-owner"])
        .args([
            "--owner=0",
            "--group=0",
            "--mode=go+u,go-w",
            "--mtime",
            TIME,
        ])
        .args(["--use-compress-program", "gzip --no-name --best", "--file"])
        .arg(&archive)
        .arg("--directory")
        .arg(dir)
        .arg(name);
    command::run(tar, Show::IfItFails)?;
    Ok(archive)
}

/// Writes the checksums of files in a directory to its file `SHA256SUMS`, for `sha256sum --check`.
///
/// # Errors
/// If a file cannot be read or written.
pub fn write_sums(dir: &Path, files: &[PathBuf]) -> Result<()> {
    let names = files.iter().filter_map(|file| file.file_name());
    let mut sum = Command::new("sha256sum");
    sum.args(names).current_dir(dir);
    let sums = command::output(&mut sum)?;
    let path = dir.join("SHA256SUMS");
    std::fs::write(&path, sums).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn two_archives_of_the_same_files_are_the_same() {
        let made = [0o644, 0o600].map(|mode| {
            let dir = tempfile::tempdir().unwrap();
            let inner = dir.path().join("twill-1");
            fs::create_dir(&inner).unwrap();
            // In another order, at another time, under another umask.
            let names = ["a", "b"];
            let names = if mode == 0o600 { ["b", "a"] } else { names };
            for name in names {
                fs::write(inner.join(name), name).unwrap();
                fs::set_permissions(inner.join(name), Permissions::from_mode(mode)).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let archive = pack(dir.path(), "twill-1").unwrap();
            write_sums(dir.path(), std::slice::from_ref(&archive)).unwrap();
            let sums = fs::read_to_string(dir.path().join("SHA256SUMS")).unwrap();
            (fs::read(archive).unwrap(), sums)
        });
        let [(first, sums), (second, _)] = made;
        assert!(first == second);
        assert!(sums.ends_with("  twill-1.tar.gz\n"), "{sums}");
    }
}
