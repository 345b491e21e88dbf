//! The networks that containers are attached to.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::event::StoreKind;

const CNI_VERSION: &str = "1.1.0";

/// The numbers that a lease's addresses end in, less the bridge's.
const RANGE: std::ops::RangeInclusive<u8> = 2..=30;

/// The interfaces that a container can have.
pub(super) const INTERFACES: [&str; 2] = ["eth0", "eth1"];

/// Where flannel and host-local keep what they know, by default.
pub(super) const STATE: &str = "/var/lib/cni";

/// A network with a lease of its own.
pub(super) struct Network {
    pub(super) backend: StoreKind,
    plugins: PathBuf,
}

impl Network {
    pub(super) fn new(backend: StoreKind, plugins: &Path) -> Self {
        Self {
            backend,
            plugins: plugins.to_owned(),
        }
    }

    pub(super) fn plugin(&self, name: &str) -> PathBuf {
        self.plugins.join(name)
    }

    fn subnet(&self, last: u8) -> Ipv4Addr {
        let third = match self.backend {
            StoreKind::Disk => 1,
            StoreKind::Db => 2,
        };
        Ipv4Addr::new(10, 244, third, last)
    }

    /// All addresses that containers can have.
    pub(super) fn range(&self) -> impl Iterator<Item = Ipv4Addr> {
        RANGE.map(|last| self.subnet(last))
    }

    fn subnet_file(&self) -> PathBuf {
        format!("/run/flannel/{}.env", self.backend.name()).into()
    }

    /// Writes what flanneld would.
    pub(super) fn write_lease(&self) -> Result<()> {
        let file = self.subnet_file();
        let lease = format!(
            "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET={}/27\nFLANNEL_MTU=1450\n\
             FLANNEL_IPMASQ=true\n",
            self.subnet(1)
        );
        fs::create_dir_all(file.parent().unwrap_or(Path::new("/")))?;
        fs::write(&file, lease).with_context(|| format!("cannot write {}", file.display()))
    }

    /// The configuration of `flannel`.
    pub(super) fn flannel(&self) -> Value {
        json!({
            "cniVersion": CNI_VERSION,
            "name": self.backend.name(),
            "type": "flannel",
            "subnetFile": self.subnet_file(),
            "delegate": { "bridge": format!("br-{}", self.backend.name()) },
            "ipam": { "backend": self.backend.name() },
        })
    }

    /// The configuration of `host-local` alone, as `flannel` makes it.
    pub(super) fn host_local(&self) -> Value {
        json!({
            "cniVersion": CNI_VERSION,
            "name": self.backend.name(),
            "ipam": {
                "type": "host-local",
                "backend": self.backend.name(),
                "ranges": [[{ "subnet": format!("{}/27", self.subnet(0)) }]],
            },
        })
    }

    /// A result of an ADD, as far as `host-local` looks at it. CHECK with one that has no address
    /// succeeds for who holds any.
    pub(super) fn result(&self, address: Option<Ipv4Addr>) -> Value {
        let ips = address.map(|address| json!({ "address": format!("{address}/27") }));
        json!({ "cniVersion": CNI_VERSION, "ips": ips.as_slice() })
    }

    /// The files that are there when nothing is attached, once something was; the database is
    /// shared.
    pub(super) fn files(&self) -> &'static [&'static str] {
        match self.backend {
            StoreKind::Disk => &[
                "networks/.index/disk",
                "networks/disk/last_reserved_ip.0",
                "networks/disk/lock",
            ],
            StoreKind::Db => &["networks/.addresses.db", "networks/.addresses.lock"],
        }
    }
}
