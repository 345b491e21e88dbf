//! What a node keeps when it is switched off: podman's containers, the plugins' state,
//! configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tempfile::TempDir;
use testkit::requirements::REFERENCE_DIR;

use super::Container;
use xtask::dist::check_static;
use xtask::packages;

/// The network that the containers join.
pub(super) const NETWORK: &str = "cbr0";

/// The network that containers join by default where nothing is configured.
pub(super) const PODMANS_NETWORK: &str = "podman";

const PODMANS: &str =
    include_str!("../../../../../testdata/conflist/podman/87-podman-bridge.conflist");

/// The page of the container's web server.
pub(super) const PAGE: &str = "published\n";

/// A directory with all that outlives a boot.
pub(super) struct Disk {
    dir: TempDir,
    plugins: PathBuf,
}

impl Disk {
    /// Makes the directory, for the plugins in another.
    pub(super) fn new(within: &Path, plugins: &Path) -> Result<Self> {
        let dir = TempDir::with_prefix_in("podman", within)?;
        let disk = Self {
            dir,
            plugins: plugins.to_owned(),
        };
        for name in [
            "cni",
            "net",
            "home",
            "rootfs/bin",
            "rootfs/tmp",
            "rootfs/www",
        ] {
            fs::create_dir_all(disk.path(name))?;
        }
        disk.make_root_file_system()?;
        disk.write_configuration()?;
        Ok(disk)
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub(super) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes it all.
    pub(super) fn remove(self) -> Result<()> {
        self.dir.close().context("cannot remove the node's disk")
    }

    fn make_root_file_system(&self) -> Result<()> {
        let busybox = packages::find("busybox").context("no `busybox` in PATH");
        let busybox = busybox.and_then(|path| check_static(&path).map(|_| path));
        let busybox = busybox.context("install busybox-static, in the place of busybox")?;
        fs::copy(&busybox, self.path("rootfs/bin/busybox"))?;
        symlink("busybox", self.path("rootfs/bin/sh"))?;
        self.write("rootfs/www/index.html", PAGE)
    }

    /// Podman's files are below /run as far as they belong to a boot, and here otherwise.
    fn write_configuration(&self) -> Result<()> {
        let here = self.dir().display();
        let plugins = self.plugins.display();
        let containers = format!(
            r#"[network]
network_backend = "cni"
cni_plugin_dirs = ["{plugins}", "{REFERENCE_DIR}"]
network_config_dir = "{here}/net"
default_network = "{NETWORK}"
[engine]
runtime = "crun"
cgroup_manager = "cgroupfs"
events_logger = "none"
static_dir = "{here}/store/libpod"
volume_path = "{here}/store/volumes"
tmp_dir = "/run/libpod"
[containers]
cgroups = "disabled"
log_driver = "none"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
"#
        );
        self.write("containers.conf", containers)?;
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{here}/store\"\n\
             runroot = \"/run/containers\"\n"
        );
        self.write("storage.conf", storage)?;
        // podman's own, with its own plugins.
        self.write("net/87-podman-bridge.conflist", PODMANS)?;
        let network = json!({
            "cniVersion": "1.0.0",
            "cniVersions": ["0.3.1", "1.0.0", "1.1.0"],
            "name": NETWORK,
            "plugins": [
                {
                    "type": "flannel",
                    "delegate": { "hairpinMode": true, "isDefaultGateway": true },
                },
                { "type": "portmap", "capabilities": { "portMappings": true } },
            ],
        });
        self.write("net/10-flannel.conflist", network.to_string())
    }

    /// Has podman take its configuration from here, and nothing from elsewhere.
    pub(super) fn configure(&self, command: &mut Command) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("home"))
            .env("CONTAINERS_CONF", self.path("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.path("storage.conf"));
    }

    /// The addresses of a network that are held, each with its owner as `<container id>
    /// <interface>`.
    pub(super) fn addresses(&self, network: &str) -> Result<BTreeMap<String, String>> {
        let network = self.path("cni/networks").join(network);
        let mut owners = BTreeMap::new();
        for name in names(&network)? {
            if name == "lock" || name == "last_reserved_ip.0" {
                continue;
            }
            let owner = fs::read_to_string(network.join(&name))?;
            owners.insert(name, owner.replace("\r\n", " "));
        }
        Ok(owners)
    }

    /// An error unless these containers' addresses and no others are held, and flannel keeps a file
    /// for each of these containers and for no other.
    pub(super) fn expect_only(&self, containers: &[Container]) -> Result<()> {
        let expected = containers.iter().map(|container| {
            let Container { id, address, .. } = container;
            [
                format!("address {address} of {id} eth0"),
                format!("flannel's file of {id}"),
            ]
        });
        let expected: BTreeSet<_> = expected.flatten().collect();
        let addresses = self.addresses(NETWORK)?.into_iter();
        let scratch = names(&self.path("cni/flannel"))?.into_iter();
        let found: BTreeSet<_> = addresses
            .map(|(address, owner)| format!("address {address} of {owner}"))
            .chain(scratch.map(|id| format!("flannel's file of {id}")))
            .collect();
        let missing: Vec<_> = expected.difference(&found).collect();
        let left: Vec<_> = found.difference(&expected).collect();
        ensure!(
            missing.is_empty() && left.is_empty(),
            "in /var/lib/cni there should not be {left:#?}\nand there should be {missing:#?}"
        );
        Ok(())
    }
}

/// The names in a directory; none if there is no such directory.
pub(super) fn names(dir: &Path) -> Result<BTreeSet<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error).context(format!("cannot list {}", dir.display())),
    };
    let name = |entry: std::io::Result<fs::DirEntry>| {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect()
}
