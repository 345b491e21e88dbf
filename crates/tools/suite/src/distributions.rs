//! What package managers do with a release's packages, and whether two packings are the same.

mod deb;
mod rpm;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use packaging::contents::Product;
use packaging::notices;
use packaging::release::Release;
use packaging::{archive, image};
use tempfile::TempDir;
use xtask::architecture::{ALL, Architecture};
use xtask::command::{self, Show};
use xtask::packages::Needed;
use xtask::platform::Platform;

use super::setting::Setting;

/// Besides what all tests need.
pub(super) const NEEDED: &[Needed] = &[("lintian", "lintian"), ("rpmbuild", "rpm")];

/// Packs the release binary, and installs, upgrades and removes the packages.
pub(super) fn run(setting: &Setting) -> Result<String> {
    setting.needs_root()?;
    let dir = TempDir::with_prefix_in("packages", &setting.temporary)?;
    let product = Product {
        binary: setting.workspace.dist_dir().join("twill"),
        manual: dir.path().join("manual"),
        notices: notices::write(&setting.workspace, Platform::of_plugins()?.triple())?,
    };
    let mut manual = setting.program("manual")?;
    manual.arg(&product.manual);
    command::run(manual, Show::IfItFails)?;

    let files = pack(setting, &dir.path().join("first"), &product)?;
    let product = copy(&product, &dir.path().join("copy"))?;
    let again = pack(setting, &dir.path().join("second"), &product)?;
    for (file, other) in files.iter().zip(&again) {
        let is_same = fs::read(file)? == fs::read(other)?;
        ensure!(
            is_same,
            "{} differs from one packing to another",
            base(file)
        );
    }

    let installed = Installed {
        binary: fs::read(&product.binary)?,
        plugins: setting.workspace.plugins()?,
    };
    let [archive, _, deb, rpm] = &files;
    for package in [deb, rpm] {
        let is_small = fs::metadata(package)?.len() < fs::metadata(archive)?.len();
        ensure!(is_small, "{} has the binary more than once", base(package));
    }
    deb::check(deb, &installed, dir.path()).context("the package for Debian")?;
    rpm::check(rpm, &installed, dir.path()).context("the package for rpm")?;
    dir.close()?;
    Ok(String::new())
}

/// The architecture of this machine.
pub(super) fn own_architecture() -> Result<&'static Architecture> {
    let own = ALL.iter().find(|it| it.is_own());
    own.context("nothing is built for this machine's architecture")
}

/// An archive, an image, and the packages for Debian and rpm.
fn pack(setting: &Setting, dir: &Path, product: &Product) -> Result<[PathBuf; 4]> {
    fs::create_dir(dir)?;
    let release = Release::new(&setting.workspace, dir)?;
    let architecture = own_architecture()?;
    Ok([
        archive::write(&release, architecture, product)?,
        image::write(&release, &[(architecture, product.clone())])?,
        packaging::deb::write(&release, architecture, product)?,
        packaging::rpm::write(&release, architecture, product)?,
    ])
}

/// The same with other times and modes, as another umask makes them.
fn copy(product: &Product, dir: &Path) -> Result<Product> {
    fs::create_dir(dir)?;
    let copy = Product {
        binary: dir.join("twill"),
        manual: dir.join("manual"),
        notices: product.notices.clone(),
    };
    for (from, to) in [
        (&product.binary, &copy.binary),
        (&product.manual, &copy.manual),
    ] {
        let mut cp = Command::new("cp");
        cp.arg("--recursive").args([from, to]);
        command::run(cp, Show::IfItFails)?;
    }
    fs::set_permissions(&copy.binary, Permissions::from_mode(0o700))?;
    let mut chmod = Command::new("chmod");
    chmod.args(["--recursive", "go="]).arg(&copy.manual);
    command::run(chmod, Show::IfItFails)?;
    Ok(copy)
}

/// What packages install.
struct Installed {
    binary: Vec<u8>,
    plugins: Vec<String>,
}

impl Installed {
    /// An error unless a directory has each plugin as a file of its own.
    fn expect(&self, plugins: &Path, program: &Path) -> Result<()> {
        let all = self.plugins.iter().map(|name| plugins.join(name));
        for path in all.chain([program.to_owned()]) {
            let file = fs::symlink_metadata(&path).with_context(|| path.display().to_string())?;
            let is_own = file.is_file() && file.nlink() == 1 && file.mode() & 0o7777 == 0o755;
            ensure!(is_own, "{} is not a file of its own", path.display());
            let is_twill = fs::read(&path)? == self.binary;
            ensure!(is_twill, "{} is not the binary", path.display());
        }
        Ok(())
    }
}

/// Files by their paths, with their contents, or the targets of links.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// All files below a root directory but those below one of its directories.
fn files(root: &Path, without: &Path) -> Result<Files> {
    let mut all = Files::new();
    let mut dirs = vec![PathBuf::new()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(root.join(&dir))? {
            let entry = entry?;
            let path = dir.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() && path != without {
                dirs.push(path);
            } else if kind.is_symlink() {
                let target = fs::read_link(entry.path())?;
                all.insert(path, target.into_os_string().into_encoded_bytes());
            } else if kind.is_file() {
                all.insert(path, fs::read(entry.path())?);
            }
        }
    }
    Ok(all)
}

/// An error unless the files are those that were there before.
fn expect_same(before: &Files, after: &Files) -> Result<()> {
    let missing_in = |one: &Files, other: &Files| -> Vec<PathBuf> {
        let differing = other
            .iter()
            .filter(|(path, file)| one.get(*path) != Some(*file));
        differing.map(|(path, _)| path.clone()).collect()
    };
    let (missing, left) = (missing_in(after, before), missing_in(before, after));
    ensure!(
        missing.is_empty() && left.is_empty(),
        "missing or changed: {missing:#?}\nleft or changed: {left:#?}"
    );
    Ok(())
}

fn base(path: &Path) -> String {
    path.file_name().unwrap_or_default().display().to_string()
}
