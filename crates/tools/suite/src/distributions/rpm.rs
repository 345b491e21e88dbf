//! The package for rpm, which excludes the Go plugins' package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xtask::command::{self, Show};

use super::{Installed, expect_same, files};

const GO: &str = "\
Name: containernetworking-plugins
Version: 1
Release: 1
Summary: Go plugins
License: Apache-2.0
BuildArch: noarch
%description
Go plugins
%install
mkdir --parents %{buildroot}/usr/libexec/cni
echo Go > %{buildroot}/usr/libexec/cni/bridge
%files
/usr/libexec/cni/bridge
";

pub(super) fn check(package: &Path, installed: &Installed, within: &Path) -> Result<()> {
    let root = Root::new(&within.join("rpm"))?;
    let before = root.files()?;
    root.rpm(&["--install", &package.display().to_string()])?;
    let expect = || -> Result<()> {
        let dir = &root.dir;
        installed.expect(&dir.join("usr/libexec/cni"), &dir.join("usr/bin/twill"))?;
        let page = dir.join("usr/share/man/man1/twill-gc.1.gz");
        ensure!(page.is_file(), "there is no page twill-gc(1)");
        root.rpm(&["--verify", "twill"]).map(drop)
    };
    expect()?;
    let go = build_go(within)?;
    let refused = root.rpm(&["--install", &go.display().to_string()]);
    let message = refused.err().map(|error| format!("{error:#}"));
    let message = message.context("the Go plugins' package can be installed, too")?;
    ensure!(message.contains("conflicts with"), "{message}");
    root.rpm(&["--upgrade", "--force", &package.display().to_string()])?;
    expect().context("after an upgrade")?;
    root.rpm(&["--erase", "twill"])?;
    expect_same(&before, &root.files()?)
}

fn build_go(within: &Path) -> Result<PathBuf> {
    let spec = within.join("go.spec");
    fs::write(&spec, GO)?;
    let mut rpmbuild = Command::new("rpmbuild");
    for dir in ["_topdir", "_rpmdir"] {
        let define = format!("{dir} {}", within.join("go-rpm").display());
        rpmbuild.args(["--define", &define]);
    }
    rpmbuild.args(["-bb", "--quiet"]).arg(&spec);
    command::run(rpmbuild, Show::IfItFails)?;
    Ok(within.join("go-rpm/noarch/containernetworking-plugins-1-1.noarch.rpm"))
}

/// The root directory of another system.
struct Root {
    dir: PathBuf,
}

impl Root {
    fn new(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    fn rpm(&self, arguments: &[&str]) -> Result<()> {
        let mut rpm = Command::new("rpm");
        rpm.args(["--force-debian", "--dbpath=/var/lib/rpm", "--root"])
            .arg(&self.dir)
            .args(arguments);
        command::run(rpm, Show::IfItFails)
    }

    fn files(&self) -> Result<super::Files> {
        files(&self.dir, Path::new("var/lib/rpm"))
    }
}
