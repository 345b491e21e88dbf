//! The options that name the files and directories that a command reads.

#![allow(
    clippy::disallowed_methods,
    reason = "the edge of a program that people run: its environment"
)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use node::Paths;

use crate::network::ListOptions;

/// The files and directories to read.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Where to look")]
pub(crate) struct NodeOptions {
    /// The directory of the network configurations [default: NETCONFPATH, else /etc/cni/net.d and
    /// those of k3s and microk8s].
    #[arg(long, value_name = "DIR")]
    conf: Option<PathBuf>,
    /// The directories of the plugins, with ":" between them [default: CNI_PATH, else /opt/cni/bin
    /// and those of distributions].
    #[arg(long, value_name = "DIRS")]
    path: Option<OsString>,
    /// host-local's dataDir, where a configuration names none.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// flannel's dataDir, where a configuration names none.
    #[arg(long, value_name = "DIR")]
    flannel_dir: Option<PathBuf>,
    /// flanneld's lease, where a configuration names none.
    #[arg(long, value_name = "FILE")]
    lease: Option<PathBuf>,
    /// The directory of the runtimes' cache of results.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl NodeOptions {
    /// The file with flanneld's lease, if the option names one.
    pub(crate) fn lease(&self) -> Option<&Path> {
        self.lease.as_deref()
    }

    /// The options of the commands that run a network's list.
    pub(crate) fn list(&self, verbose: bool) -> ListOptions {
        ListOptions {
            conf: self.conf.clone(),
            path: self.path.clone(),
            cache: self.cache.clone(),
            verbose,
        }
    }

    /// The paths: those of the options, the usual ones otherwise.
    pub(crate) fn paths(&self) -> Paths {
        let usual = Paths::default();
        let or = |path: &Option<PathBuf>, usual| path.clone().unwrap_or(usual);
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let conf = self
            .conf
            .clone()
            .or_else(|| variable("NETCONFPATH").map(PathBuf::from));
        let path = self.path.clone().or_else(|| variable("CNI_PATH"));
        Paths {
            conf_dirs: conf.map_or(usual.conf_dirs, |conf| vec![conf]),
            plugin_dirs: match path {
                Some(path) => std::env::split_paths(&path).collect(),
                None => usual.plugin_dirs,
            },
            data_dir: or(&self.data_dir, usual.data_dir),
            flannel_dir: or(&self.flannel_dir, usual.flannel_dir),
            lease_file: or(&self.lease, usual.lease_file),
            cache_dirs: match &self.cache {
                Some(dir) => vec![dir.clone()],
                None => usual.cache_dirs,
            },
            netns_dirs: usual.netns_dirs,
            proc_dir: usual.proc_dir,
        }
    }
}
