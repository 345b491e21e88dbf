//! The package for distributions with rpm.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;
use xtask::architecture::Architecture;
use xtask::command::{self, Show};

use crate::contents::{Layout, Product, stage_package};
use crate::release::{Release, VERSION};
use crate::stage::{PAGE, Stage};

const LAYOUT: Layout = Layout {
    plugins: "usr/libexec/cni",
    zsh_completions: "usr/share/zsh/site-functions",
};

const SPEC: &str = include_str!("../rpm/twill.spec");

/// What rpmbuild would otherwise take from the machine, or add to the files.
const SETTINGS: [&str; 8] = [
    "_build_id_links none",
    "_buildhost localhost",
    "__os_install_post %{nil}",
    "clamp_mtime_to_source_date_epoch 1",
    "debug_package %{nil}",
    "source_date_epoch_from_changelog 0",
    "use_source_date_epoch_as_buildtime 1",
    "_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm",
];

/// Writes `twill-<version>-1.<architecture>.rpm`, and returns its path.
///
/// # Errors
/// If a file cannot be read or written, or `rpmbuild` is missing or fails.
pub fn write(
    release: &Release<'_>,
    architecture: &Architecture,
    product: &Product,
) -> Result<PathBuf> {
    let stage = Stage::new(release.time)?;
    stage_package(&stage, &LAYOUT, release.workspace, product)?;
    let license = release.workspace.root.join("LICENSE");
    stage.copy("usr/share/licenses/twill/LICENSE", PAGE, &license)?;

    let plugins = release.workspace.plugins()?;
    let plugins: Vec<_> = plugins
        .iter()
        .map(|name| format!("/{}/{name}", LAYOUT.plugins))
        .collect();
    let spec = SPEC
        .replace("@VERSION@", VERSION)
        .replace("@STAGE@", &stage.finish()?.display().to_string())
        .replace("@PLUGINS@", &plugins.join("\n"));
    let top = TempDir::with_prefix("twill-rpm-")?;
    let path = top.path().join("twill.spec");
    fs::write(&path, spec).with_context(|| format!("cannot write {}", path.display()))?;

    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild.args(["-bb", "--quiet", "--target"]);
    rpmbuild.arg(format!("{}-linux", architecture.rpm));
    for setting in SETTINGS {
        rpmbuild.args(["--define", setting]);
    }
    let payload = format!("_binary_payload w{}.xzdio", product.xz_level()?);
    rpmbuild.args(["--define", &payload]);
    for (name, dir) in [("_topdir", top.path()), ("_rpmdir", &release.dir)] {
        rpmbuild.args(["--define", &format!("{name} {}", dir.display())]);
    }
    rpmbuild
        .arg(&path)
        .env("SOURCE_DATE_EPOCH", release.time.to_string());
    command::run(rpmbuild, Show::IfItFails)?;
    let name = format!("twill-{VERSION}-1.{}.rpm", architecture.rpm);
    Ok(release.dir.join(name))
}
