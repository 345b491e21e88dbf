//! Debian's package.
//!
//! `containernetworking-plugins` has files of the same names, and others that a node may need
//! (`firewall`, `tuning`), so the package neither conflicts with it nor replaces it: it diverts its
//! files to the names under which `twill install` keeps what it replaces (`debian/preinst`).

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use xtask::architecture::Architecture;
use xtask::command::{self, Show};

use crate::contents::{Layout, Product, stage_package};
use crate::release::{Release, VERSION};
use crate::stage::{PAGE, PROGRAM, Stage};

/// Debian's own number after the version.
const REVISION: &str = "1";

const LAYOUT: Layout = Layout {
    plugins: "usr/lib/cni",
    zsh_completions: "usr/share/zsh/vendor-completions",
};

const DESCRIPTION: &str = "\
Section: net
Priority: optional
Suggests: containernetworking-plugins, iptables
Description: CNI plugins of a flannel network's nodes
 Twill has the CNI plugins that a container runtime runs on a node of a
 flannel network: flannel, host-local, bridge, ipvlan, macvlan, bandwidth,
 loopback and portmap. They take the place of the Go plugins of the same
 names, with the same configuration and the same files on disk.
 .
 The command twill shows the state of the network, frees what dead
 containers hold, and finds and repairs faults.
";

/// The level at which xz compresses all copies of the binary to little more than one: dpkg-deb
/// compresses blocks of three dictionaries, each by itself, and this level's have 16 MiB.
const XZ_LEVEL: u8 = 7;

/// The format demands an address. No mail reaches this one (RFC 2606).
const NO_ADDRESS: &str = "no-address@twill.invalid";

const SCRIPTS: [(&str, &str); 3] = [
    ("preinst", include_str!("../debian/preinst")),
    ("prerm", include_str!("../debian/prerm")),
    ("postrm", include_str!("../debian/postrm")),
];

/// Writes `twill_<version>-1_<architecture>.deb`, and returns its path.
///
/// # Errors
/// If a file cannot be read or written, or `dpkg-deb` is missing or fails.
pub fn write(
    release: &Release<'_>,
    architecture: &Architecture,
    product: &Product,
) -> Result<PathBuf> {
    let stage = Stage::new(release.time)?;
    let documentation = "usr/share/doc/twill";
    stage_package(&stage, &LAYOUT, release.workspace, product)?;
    let copyright = include_str!("../debian/copyright");
    stage.write(&format!("{documentation}/copyright"), PAGE, copyright)?;
    let changelog = fs::read(release.workspace.root.join("CHANGELOG.md"))?;
    stage.compress(&format!("{documentation}/changelog"), changelog)?;
    stage.compress(
        &format!("{documentation}/changelog.Debian"),
        changelog_of_package(release)?,
    )?;
    let overrides = include_str!("../debian/lintian-overrides");
    stage.write("usr/share/lintian/overrides/twill", PAGE, overrides)?;

    let installed = stage.finish()?.to_owned();
    let sizes = command::output(
        Command::new("du")
            .args(["--apparent-size", "-ks"])
            .arg(&installed),
    )?;
    let size = sizes
        .split_whitespace()
        .next()
        .context("`du` prints a size")?;
    let mut sums = Command::new("sh");
    sums.args([
        "-c",
        "find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum",
    ]);
    let sums = command::output(sums.current_dir(&installed))?;
    let control = format!(
        "Package: twill\nVersion: {VERSION}-{REVISION}\nArchitecture: {}\nMaintainer: {}\n\
         Installed-Size: {size}\n{DESCRIPTION}",
        architecture.debian,
        maintainer()
    );
    stage.write("DEBIAN/control", PAGE, control)?;
    stage.write("DEBIAN/md5sums", PAGE, sums)?;
    let plugins = release.workspace.plugins()?.join(" ");
    for (name, script) in SCRIPTS {
        let script = script.replace("@PLUGINS@", &plugins);
        stage.write(&format!("DEBIAN/{name}"), PROGRAM, script)?;
    }

    let name = format!("twill_{VERSION}-{REVISION}_{}.deb", architecture.debian);
    let package = release.dir.join(name);
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.args(["--root-owner-group", "--threads-max=1", "-Zxz"])
        .arg(format!("-z{XZ_LEVEL}"))
        .arg("--build")
        .arg(stage.finish()?)
        .arg(&package)
        .env("SOURCE_DATE_EPOCH", release.time.to_string());
    command::run(dpkg, Show::IfItFails)?;
    Ok(package)
}

fn changelog_of_package(release: &Release<'_>) -> Result<String> {
    Ok(format!(
        "twill ({VERSION}-{REVISION}) stable; urgency=medium\n\n  * Version {VERSION}; see \
         changelog.gz.\n\n -- {}  {}\n",
        maintainer(),
        release.date(&["--rfc-email"])?
    ))
}

/// Who made the package, as Debian's tools are told. The project has no address, so whoever
/// distributes the package has to set these.
fn maintainer() -> String {
    let variable = |name: &str, default: &str| std::env::var(name).unwrap_or(default.to_owned());
    format!(
        "{} <{}>",
        variable("DEBFULLNAME", env!("CARGO_PKG_AUTHORS")),
        variable("DEBEMAIL", NO_ADDRESS)
    )
}
