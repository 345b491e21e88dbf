//! A kernel of Debian's, from its packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// A kernel with its modules, and a busybox to go with it.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The kernel's image.
    pub image: PathBuf,
    /// The directory that has its modules, in further directories.
    pub modules: PathBuf,
    /// A busybox without libraries.
    pub busybox: PathBuf,
}

impl Kernel {
    /// Gets Debian's cloud kernel and its static busybox with apt, and unpacks them into a
    /// directory, unless they are there. Nothing is installed. What apt knows is brought up to date
    /// if need be, which takes root.
    ///
    /// # Errors
    /// Without apt, or if the packages cannot be downloaded.
    pub fn of_debian(dir: &Path) -> Result<Self> {
        if let Ok(kernel) = Self::unpacked(dir) {
            return Ok(kernel);
        }
        let above = dir.parent().context("the kernel's directory is `/`")?;
        fs::create_dir_all(above).with_context(|| format!("cannot create {}", above.display()))?;
        // In its place it is whole.
        let aside = tempfile::tempdir_in(above).context("cannot make a temporary directory")?;
        if let Err(first) = download(aside.path()) {
            let update = run(Command::new("apt-get").args(["-qq", "update"]));
            update
                .and_then(|_| download(aside.path()))
                .map_err(|error| error.context(first))?;
        }
        for package in debs(aside.path())? {
            run(Command::new("dpkg")
                .arg("-x")
                .arg(&package)
                .arg(aside.path()))?;
            fs::remove_file(&package)?;
        }
        Self::unpacked(aside.path())?;
        if dir.exists() {
            fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }
        fs::rename(aside.path(), dir)
            .with_context(|| format!("cannot create {}", dir.display()))?;
        Self::unpacked(dir)
    }

    /// What was unpacked into a directory.
    ///
    /// # Errors
    /// If it is not there.
    fn unpacked(dir: &Path) -> Result<Self> {
        let boot = dir.join("boot");
        let entries = fs::read_dir(&boot)
            .with_context(|| format!("cannot read {}", boot.display()))?
            .collect::<std::io::Result<Vec<_>>>()?;
        let image = entries
            .into_iter()
            .map(|entry| entry.path())
            .find(|path| name_of(path).starts_with("vmlinuz-"))
            .with_context(|| format!("no kernel in {}", boot.display()))?;
        let busybox = dir.join("bin/busybox");
        ensure!(busybox.is_file(), "{} is missing", busybox.display());
        Ok(Self {
            image,
            modules: dir.join("lib/modules"),
            busybox,
        })
    }

    /// The file of a module, such as `ipvlan`.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn module(&self, name: &str) -> Result<PathBuf> {
        let file = format!("{name}.ko");
        find(&self.modules, &file)?
            .with_context(|| format!("no module {file} in {}", self.modules.display()))
    }
}

fn download(dir: &Path) -> Result<()> {
    let kernel = newest("linux-image-cloud-amd64")?;
    run(Command::new("apt-get")
        .args(["-qq", "download", &kernel, "busybox-static"])
        .current_dir(dir))
    .map(drop)
}

fn debs(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.collect::<std::io::Result<Vec<_>>>()?;
    let paths = entries.into_iter().map(|entry| entry.path());
    Ok(paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect())
}

/// The package that a metapackage stands for.
fn newest(metapackage: &str) -> Result<String> {
    let output = run(Command::new("apt-cache").args(["depends", metapackage]))?;
    let mut lines = output.lines();
    let package = lines.find_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(package
        .with_context(|| format!("apt knows no {metapackage}"))?
        .to_owned())
}

fn find(dir: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        let found = if path.is_dir() {
            find(&path, name)?
        } else {
            Some(path).filter(|path| name_of(path) == name)
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run `{program}`"))?;
    if !output.status.success() {
        bail!(
            "`{command:?}` failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
