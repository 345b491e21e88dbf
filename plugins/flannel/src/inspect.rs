//! The lease that the plugin reads and the configurations that it keeps, for commands that only
//! read.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use cni_types::json::Object;
use cni_types::{ContainerId, Error, IfName, NetConf, NetworkName, PluginType};
use ipnetwork::IpNetwork;
use state::{Stamp, StateError};

use crate::config::{self, Config};
use crate::delegate_conf;
use crate::error::ConfigError;
use crate::scratch::{Entry, Scratch};
use crate::subnet_env;

/// The lease file of a configuration that names none.
pub const DEFAULT_SUBNET_FILE: &str = config::DEFAULT_SUBNET_FILE;

/// The directory of the kept configurations of a configuration that names none.
pub const DEFAULT_DATA_DIR: &str = config::DEFAULT_DATA_DIR;

/// A node's lease, as flanneld has written it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetLease {
    lease: subnet_env::Lease,
    /// Texts about the lines of the file that the plugin ignores.
    pub passed_over: Vec<String>,
}

impl SubnetLease {
    /// Reads a lease from a file.
    ///
    /// # Errors
    /// A text that names the file and says what is wrong with it.
    pub fn read(file: &Path) -> Result<Self, String> {
        let (lease, passed_over) = subnet_env::inspect(file).map_err(|error| error.to_string())?;
        Ok(Self { lease, passed_over })
    }

    /// The networks of all nodes, IPv4 before IPv6, each once.
    pub fn networks(&self) -> &[IpNetwork] {
        &self.lease.networks
    }

    /// This node's subnets, IPv4 before IPv6.
    pub fn subnets(&self) -> &[IpNetwork] {
        &self.lease.subnets
    }

    /// The MTU that containers can use, in bytes.
    pub fn mtu(&self) -> u32 {
        self.lease.mtu
    }

    /// Whether flanneld masquerades what leaves the network.
    pub fn ip_masq(&self) -> bool {
        self.lease.ip_masq
    }
}

/// The lease file that a configuration of the plugin names.
///
/// # Errors
/// As for an ADD: code 6 or 7, with the key.
pub fn subnet_file(conf: &NetConf<'_>) -> Result<PathBuf, Error> {
    Ok(Config::parse(conf)?.subnet_file)
}

/// The directory of the kept configurations that a configuration of the plugin names.
///
/// # Errors
/// As [`subnet_file`].
pub fn data_dir(conf: &NetConf<'_>) -> Result<PathBuf, Error> {
    Ok(Config::parse(conf)?.data_dir)
}

/// The configuration that the delegate gets for a configuration of the plugin and a lease.
///
/// # Errors
/// As for an ADD: code 6 or 7, with the key.
pub fn render(conf: &NetConf<'_>, lease: &SubnetLease) -> Result<Object, Error> {
    let config = Config::parse(conf)?;
    delegate_conf::render(&config, &conf.name, &lease.lease)
        .map_err(|error: ConfigError| error.into())
}

/// Whether the lease of a file has room for a container, where `host-local` gives the addresses.
///
/// # Errors
/// As for an ADD, with the file and its key.
pub fn require_room(conf: &NetConf<'_>, lease: &SubnetLease, file: &Path) -> Result<(), Error> {
    let mut config = Config::parse(conf)?;
    config.subnet_file = file.to_owned();
    Ok(config.require_room(&lease.lease)?)
}

/// A file of the directory of kept configurations.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptFile {
    /// The file.
    pub path: PathBuf,
    /// When it was last changed.
    pub changed: Stamp,
    /// The configuration in it; `None` if there is no usable one, as after a power cut.
    pub kept: Option<Kept>,
}

/// A delegate's configuration that is kept for DEL.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The container.
    pub container_id: ContainerId,
    /// Its interface; `None` if the Go plugin wrote the file, which does not say it.
    pub ifname: Option<IfName>,
    /// The network; `None` if the configuration has no valid name.
    pub network: Option<NetworkName>,
    /// The delegate.
    pub plugin_type: PluginType,
    /// The delegate's configuration, which containers share if theirs are the same.
    pub conf: Rc<Object>,
    /// How many calls have failed with it since it was kept.
    pub failures: u32,
    /// The error of the last DEL that failed; empty if none has.
    pub last_failure: String,
}

impl Kept {
    fn of(entry: Entry, shared: &mut Shared) -> Self {
        let Entry {
            container_id,
            ifname,
            kept,
        } = entry;
        let name: Option<String> = kept.conf.decode("name").ok().flatten();
        Self {
            container_id,
            ifname,
            network: name.and_then(|name| name.parse().ok()),
            plugin_type: kept.plugin_type,
            conf: shared.share(kept.conf),
            failures: kept.failures.count,
            last_failure: kept.failures.last,
        }
    }
}

/// The distinct configurations of a directory: those of a network's containers are mostly the same.
#[derive(Default)]
struct Shared(Vec<Rc<Object>>);

impl Shared {
    /// How many of the last distinct configurations are compared with the next one.
    const RECENT: usize = 8;

    fn share(&mut self, conf: Object) -> Rc<Object> {
        let mut recent = self.0.iter().rev().take(Self::RECENT);
        if let Some(same) = recent.find(|it| ***it == conf) {
            return Rc::clone(same);
        }
        let conf = Rc::new(conf);
        self.0.push(Rc::clone(&conf));
        conf
    }
}

/// The files of a directory of kept configurations, without a lock, those of first attachments
/// before the others. None if the directory does not exist.
///
/// # Errors
/// [`StateError`] if the directory or a file in it cannot be read.
pub fn kept_files(data_dir: &Path) -> Result<Vec<KeptFile>, StateError> {
    let Some(scratch) = Scratch::open(data_dir)? else {
        return Ok(Vec::new());
    };
    let (mut files, mut shared) = (Vec::new(), Shared::default());
    scratch.visit(|path, changed, entry| {
        files.push(KeptFile {
            path,
            changed,
            kept: entry.map(|entry| Kept::of(entry, &mut shared)),
        });
    })?;
    Ok(files)
}
