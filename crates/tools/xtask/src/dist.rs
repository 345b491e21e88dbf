//! The plugins as they are installed: one small binary under all their names, stripped, and with no
//! need of any library.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::architecture::{self, Toolchain};
use crate::command::{self, Show};
use crate::workspace::Workspace;

/// The package, and the binary, that is every plugin.
const BINARY: &str = "twill";

/// How the plugins are linked.
///
/// Linked statically, a plugin starts without the dynamic linker and runs on a node of any libc.
/// Not being movable (no PIE) it has no relocations to be done at the start either; it gives up
/// address randomization of its code, in a process that lives a millisecond and parses no network
/// traffic.
pub const RUSTFLAGS: &str = "-Ctarget-feature=+crt-static -Crelocation-model=static";

/// Builds the binary, leaves it in [`Workspace::dist_dir`] under all names, and returns its size in
/// bytes.
///
/// # Errors
/// If it does not build, or is not static.
pub fn build(workspace: &Workspace, show: Show) -> Result<u64> {
    let built = build_program(workspace, BINARY, show)?;
    let dir = workspace.dist_dir();
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let bytes = check_static(&built)?;
    install(&built, &dir.join(BINARY))?;
    for name in workspace.plugins()? {
        link(BINARY, &dir.join(name))?;
    }
    Ok(bytes)
}

/// Builds the program of a package, which has the package's name, as the plugins are built, and
/// returns its path.
///
/// # Errors
/// If it does not build.
pub fn build_program(workspace: &Workspace, package: &str, show: Show) -> Result<PathBuf> {
    let own = architecture::ALL.iter().find(|it| it.is_own());
    let own = own.context("the plugins are not built for this machine's architecture")?;
    build_package(workspace, &own.toolchain()?, package, show)
}

/// Builds the multi-call binary for an architecture, and returns its path.
///
/// # Errors
/// If it does not build, or is not static.
pub fn build_for(workspace: &Workspace, toolchain: &Toolchain, show: Show) -> Result<PathBuf> {
    let built = build_package(workspace, toolchain, BINARY, show)?;
    check_static(&built)?;
    Ok(built)
}

fn build_package(
    workspace: &Workspace,
    toolchain: &Toolchain,
    package: &str,
    show: Show,
) -> Result<PathBuf> {
    // With a target named, cargo keeps RUSTFLAGS from build scripts and procedural macros.
    // Built together, packages take dependencies with the same features from each other.
    let packages = ["--package", BINARY, "--package", package];
    let mut cargo = workspace.cargo(&[&["build", "--release"], &packages[..]].concat());
    toolchain.use_in(&mut cargo);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(workspace));
    command::run(cargo, show)?;
    let built_in = workspace.target.join(toolchain.platform.triple());
    Ok(built_in.join("release").join(package))
}

/// The compiler's flags, as cargo reads them from `CARGO_ENCODED_RUSTFLAGS`: a binary does not
/// depend on the directories of the sources and of cargo.
fn flags(workspace: &Workspace) -> OsString {
    let mut flags = OsString::from(RUSTFLAGS.replace(' ', "\x1f"));
    for (dir, name) in [
        (Some(&workspace.root), "/twill"),
        (cargo_home().as_ref(), "/cargo"),
    ] {
        let Some(dir) = dir else { continue };
        flags.push("\x1f--remap-path-prefix=");
        flags.push(dir);
        flags.push("=");
        flags.push(name);
    }
    flags
}

/// The directory in which cargo keeps the sources of dependencies.
fn cargo_home() -> Option<PathBuf> {
    let named = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    named.or_else(|| Some(std::env::home_dir()?.join(".cargo")))
}

/// The files that [`build`] leaves in [`Workspace::dist_dir`], one line per file.
///
/// # Errors
/// As [`Workspace::plugins`].
pub fn table(workspace: &Workspace, bytes: u64) -> Result<String> {
    let (kib, dir) = (bytes as f64 / 1024.0, workspace.dist_dir());
    let mut table = format!("{BINARY:<12} {kib:>6.1} KiB  in {}\n", dir.display());
    for name in workspace.plugins()? {
        table.push_str(&format!("{name:<12} -> {BINARY}\n"));
    }
    Ok(table)
}

/// The size in bytes of a binary that needs neither a dynamic linker nor a library.
///
/// The file's own headers are the proof: `ldd` runs the file, and its messages and exit codes
/// differ from libc to libc.
///
/// # Errors
/// For any other file.
pub fn check_static(path: &Path) -> Result<u64> {
    let shown = path.display();
    // Of binutils, which has the linker too.
    let mut readelf = Command::new("readelf");
    readelf
        .args(["--program-headers", "--wide"])
        .arg(path)
        .env("LC_ALL", "C");
    let headers = command::output(&mut readelf)
        .with_context(|| format!("cannot read the headers of {shown}"))?;
    for kind in ["INTERP", "DYNAMIC"] {
        let mut headers = headers.lines().map(str::trim_start);
        let has = headers.any(|header| header.starts_with(kind));
        ensure!(
            !has,
            "{shown} is not static: it has a program header {kind}"
        );
    }
    Ok(fs::metadata(path)?.len())
}

/// Puts a binary into place whole, also over one that runs.
///
/// # Errors
/// If it cannot be copied.
pub fn install(from: &Path, to: &Path) -> Result<()> {
    put(to, |aside| {
        fs::copy(from, aside)?;
        fs::set_permissions(aside, fs::Permissions::from_mode(0o755))
    })
}

/// Makes a symbolic link, also in the place of a file.
fn link(target: &str, link: &Path) -> Result<()> {
    put(link, |aside| symlink(target, aside))
}

/// Makes a file aside, and gives it its name.
fn put(path: &Path, make: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let aside = path.with_extension("new");
    drop(fs::remove_file(&aside));
    let made = make(&aside).and_then(|()| fs::rename(&aside, path));
    made.with_context(|| format!("cannot make {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_binary_is_refused() {
        // The test itself is linked in the usual way.
        let own = std::env::current_exe().unwrap();
        let error = check_static(&own).unwrap_err().to_string();
        assert!(error.contains("is not static"), "{error}");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = format!("{:#}", check_static(&source).unwrap_err());
        assert!(error.contains("Not an ELF file"), "{error}");
    }

    #[test]
    fn a_link_takes_the_place_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("flannel");
        fs::write(&file, "old").unwrap();
        link("twill", &file).unwrap();
        link("twill", &file).unwrap();
        assert_eq!(fs::read_link(&file).unwrap(), Path::new("twill"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_binary_is_installed_over_another() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        install(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&to).unwrap().permissions().mode() & 0o777,
            0o755
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
