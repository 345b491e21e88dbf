//! Debian's package beside the Go plugins' package, which has files of the same names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xtask::command::{self, Show};

use super::{Files, Installed, expect_same, files};

/// The Go plugins' package.
const GO: &str = "containernetworking-plugins";

const PLUGINS: &str = "usr/lib/cni";

pub(super) fn check(package: &Path, installed: &Installed, within: &Path) -> Result<()> {
    let mut lintian = Command::new("lintian");
    lintian
        .args(["--allow-root", "--fail-on=error,warning"])
        .arg(package);
    command::run(lintian, Show::IfItFails)?;
    let (old, new) = (build_go(within, "1")?, build_go(within, "2")?);
    let root = |name: &str| Root::new(&within.join(name));
    beside_the_go_plugins(package, installed, [&old, &new], &root("beside")?)
        .context("on a node with the Go plugins")?;
    after_uninstall(package, &old, &root("uninstall")?).context("after `twill uninstall`")?;
    before_the_go_plugins(package, installed, &old, &root("before")?)
        .context("on a node that gets the Go plugins later")
}

/// The Go plugins come first, and are upgraded meanwhile.
fn beside_the_go_plugins(
    package: &Path,
    installed: &Installed,
    [old, new]: [&Path; 2],
    root: &Root,
) -> Result<()> {
    root.install(old)?;
    root.install(package)?;
    root.expect(installed, Some("Go bridge 1"))?;
    root.install(new)?;
    root.expect(installed, Some("Go bridge 2"))?;
    root.install(package)?;
    root.expect(installed, Some("Go bridge 2"))?;
    // As kube-flannel's init container does it.
    fs::write(root.plugin("flannel"), "Go flannel")?;
    ensure!(fs::read(root.plugin("loopback"))? == installed.binary);

    root.dpkg(&["--remove", "twill"])?;
    // It is another project's file, so it stays.
    root.expect_text("flannel", "Go flannel")?;
    fs::remove_file(root.plugin("flannel"))?;
    let after = root.files()?;
    let other = Root::new(&root.dir.with_extension("other"))?;
    other.install(new)?;
    expect_same(&other.files()?, &after)?;
    root.dpkg(&["--purge", "twill"])?;
    root.dpkg(&["--purge", GO])?;
    expect_same(&Files::new(), &root.files()?)
}

/// `twill uninstall` puts the Go plugin back; an upgrade moves it aside again, and a removal leaves
/// it there.
fn after_uninstall(package: &Path, go: &Path, root: &Root) -> Result<()> {
    root.install(go)?;
    let before = root.files()?;
    root.install(package)?;
    for next in [Some(package), None] {
        let mut uninstall = Command::new(root.dir.join("usr/bin/twill"));
        uninstall.arg("uninstall").arg(root.dir.join(PLUGINS));
        command::run(uninstall, Show::IfItFails)?;
        root.expect_text("bridge", "Go bridge 1")?;
        match next {
            Some(package) => root.install(package)?,
            None => root.dpkg(&["--purge", "twill"])?,
        }
    }
    expect_same(&before, &root.files()?)
}

/// The Go plugins come later, and go earlier.
fn before_the_go_plugins(
    package: &Path,
    installed: &Installed,
    go: &Path,
    root: &Root,
) -> Result<()> {
    root.install(package)?;
    root.expect(installed, None)?;
    root.install(go)?;
    root.expect(installed, Some("Go bridge 1"))?;
    root.dpkg(&["--remove", GO])?;
    root.expect(installed, None)?;
    root.dpkg(&["--purge", "twill"])?;
    expect_same(&Files::new(), &root.files()?)
}

/// Builds a package with two plugins, of which Twill has the one.
fn build_go(within: &Path, version: &str) -> Result<PathBuf> {
    let dir = within.join(format!("go-{version}"));
    fs::create_dir_all(dir.join(PLUGINS))?;
    fs::create_dir_all(dir.join("DEBIAN"))?;
    let control = format!(
        "Package: {GO}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody\n\
         Description: Go plugins\n"
    );
    fs::write(dir.join("DEBIAN/control"), control)?;
    for name in ["bridge", "tuning"] {
        fs::write(dir.join(PLUGINS).join(name), format!("Go {name} {version}"))?;
    }
    let package = dir.with_extension("deb");
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.args(["--root-owner-group", "-Znone", "--build"])
        .args([&dir, &package]);
    command::run(dpkg, Show::IfItFails)?;
    Ok(package)
}

/// The root directory of another system, with a database of dpkg.
struct Root {
    dir: PathBuf,
}

impl Root {
    fn new(dir: &Path) -> Result<Self> {
        for name in ["info", "updates"] {
            fs::create_dir_all(dir.join("var/lib/dpkg").join(name))?;
        }
        fs::write(dir.join("var/lib/dpkg/status"), "")?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    fn install(&self, package: &Path) -> Result<()> {
        self.dpkg(&["--install", &package.display().to_string()])
    }

    /// Runs dpkg. The scripts of packages run outside of the root, with `DPKG_ROOT`.
    fn dpkg(&self, arguments: &[&str]) -> Result<()> {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", self.dir.display()))
            .args(["--force-script-chrootless", "--log=/dev/null"])
            .args(arguments)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command::run(dpkg, Show::IfItFails)
    }

    fn plugin(&self, name: &str) -> PathBuf {
        self.dir.join(PLUGINS).join(name)
    }

    /// All files but dpkg's own.
    fn files(&self) -> Result<Files> {
        files(&self.dir, Path::new("var/lib/dpkg"))
    }

    /// An error unless all of Twill is there, with the Go `bridge` kept if there is one.
    fn expect(&self, installed: &Installed, go: Option<&str>) -> Result<()> {
        let program = self.dir.join("usr/bin/twill");
        installed.expect(&self.dir.join(PLUGINS), &program)?;
        for path in [
            "usr/lib/systemd/system/twill-gc.timer",
            "usr/share/bash-completion/completions/twill",
            "usr/share/doc/twill/changelog.Debian.gz",
            "usr/share/doc/twill/copyright",
            "usr/share/man/man1/twill-gc.1.gz",
            "usr/share/man/man8/twill-plugins.8.gz",
        ] {
            ensure!(self.dir.join(path).is_file(), "there is no {path}");
        }
        let is_enabled = self.dir.join("etc/systemd").exists();
        ensure!(!is_enabled, "the timer is enabled");
        let kept = ".bridge.before-twill";
        match go {
            Some(text) => {
                self.expect_text(kept, text)?;
                self.expect_text("tuning", &text.replace("bridge", "tuning"))
            }
            None => {
                ensure!(!self.plugin(kept).exists(), "{kept} is left");
                Ok(())
            }
        }
    }

    fn expect_text(&self, name: &str, expected: &str) -> Result<()> {
        let text = fs::read(self.plugin(name)).with_context(|| name.to_owned())?;
        ensure!(text == expected.as_bytes(), "{name} is not `{expected}`");
        Ok(())
    }
}
