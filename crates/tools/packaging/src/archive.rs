//! Archives, and the checksums of a release's files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use xtask::architecture::Architecture;
use xtask::command::{self, Show};

use crate::contents::{Product, stage_archive};
use crate::release::{Release, VERSION};
use crate::stage::{Stage, gzip};

/// Writes `twill-<version>-linux-<architecture>.tar.gz`, and returns its path.
///
/// # Errors
/// If a file cannot be read or written.
pub fn write(
    release: &Release<'_>,
    architecture: &Architecture,
    product: &Product,
) -> Result<PathBuf> {
    let name = format!("twill-{VERSION}-linux-{}", architecture.name);
    let stage = Stage::new(release.time)?;
    stage_archive(&stage, &name, &release.workspace.root, product)?;
    let tar = release.dir.join(format!("{name}.tar"));
    pack(stage.finish()?, &[&name], &tar)?;
    gzip(&tar)?;
    Ok(tar.with_extension("tar.gz"))
}

/// Packs files of a directory that a [`Stage`] has prepared. Their order and their owners depend on
/// nothing but their names.
pub(crate) fn pack(dir: &Path, names: &[&str], archive: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--format=gnu", "--numeric-owner"])
        .args(["--owner=0", "--group=0", "--file"])
        .arg(archive)
        .arg("--directory")
        .arg(dir)
        .args(names);
    command::run(tar, Show::IfItFails)
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
    fs::write(&path, sums).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_archives_of_the_same_files_are_the_same() {
        let made = [["a", "b"], ["b", "a"]].map(|names| {
            let dir = tempfile::tempdir().unwrap();
            let stage = Stage::new(1_700_000_000).unwrap();
            for name in names {
                stage.compress(&format!("twill-1/{name}"), name).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let tar = dir.path().join("twill-1.tar");
            pack(stage.finish().unwrap(), &["twill-1"], &tar).unwrap();
            write_sums(dir.path(), std::slice::from_ref(&tar)).unwrap();
            let sums = fs::read_to_string(dir.path().join("SHA256SUMS")).unwrap();
            (fs::read(tar).unwrap(), sums)
        });
        let [(first, sums), (second, _)] = made;
        assert!(first == second);
        assert!(sums.ends_with("  twill-1.tar\n"), "{sums}");
    }
}
